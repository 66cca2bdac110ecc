import type { AuthInfo, AuthInfoExtra, Identity } from '../core/auth-info.js';
import type { Leaf } from './plan.js';

/** A fresh object for one request, its lists and its `URL` too: changing it never shows in another request. */
export function authInfo(
  token: string,
  leaf: Leaf,
  identity: Identity,
  resourceMetadataUrl: string | undefined,
): AuthInfo {
  const extra: AuthInfoExtra =
    identity.extra === undefined
      ? { source: leaf.name, claims: identity.claims }
      : { ...identity.extra, source: leaf.name, claims: identity.claims };
  // What a custom verifier put there under our names is in the identity already, or was no string.
  if (identity.issuer !== undefined || 'issuer' in extra) extra.issuer = identity.issuer;
  if (identity.subject !== undefined || 'subject' in extra) extra.subject = identity.subject;
  const auth: AuthInfo = {
    token,
    clientId: identity.clientId ?? leaf.name,
    // Not `slice`, which takes thirty times as long for a frozen list.
    scopes: [...identity.scopes],
    extra,
  };
  if (identity.expiresAt !== undefined) auth.expiresAt = identity.expiresAt;
  if (leaf.newResource !== undefined) auth.resource = leaf.newResource();
  if (resourceMetadataUrl !== undefined) auth.resourceMetadataUrl = resourceMetadataUrl;
  return auth;
}
