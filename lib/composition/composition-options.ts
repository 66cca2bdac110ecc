import type { Settings } from '../core/settings.js';

/**
 * The options of every composition: `multiAuth`, `remoteAuth`, and `oauthProxy` but for `authorizationServers`. Each
 * one not given is the server's.
 */
export interface CompositionOptions extends Settings {
  /** Names this composition. Default: the name of its factory. */
  readonly name?: string | undefined;
}
