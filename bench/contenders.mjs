import { requireBearerAuth as sdk2BearerAuth } from '@modelcontextprotocol/express';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { requireBearerAuth as sdk1BearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { OAuthError, OAuthErrorCode } from '@modelcontextprotocol/server';
import { jwtVerifier, remoteAuth } from 'express-mcp-auth';
import { auth as oauth2JwtBearer } from 'express-oauth2-jwt-bearer';
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose';
import { MCPAuth } from 'mcp-auth';
import { Passport } from 'passport';
import { Strategy as BearerStrategy } from 'passport-http-bearer';
import { resource } from './tokens.mjs';

/** The app without any of them. */
export const bare = 'bare Express 5';

/**
 * Ways to protect the resource with the tokens of one issuer, each as a user of that package would write it:
 * name → function from `{ issuer, jwksUri }` to an Express middleware.
 */
export const contenders = {
  'express-mcp-auth': ours,
  'jose by hand': joseByHand,
  'SDK 1 requireBearerAuth + jose': ({ issuer, jwksUri }) => {
    const verify = joseVerify({ issuer, jwksUri });
    return sdk1BearerAuth({
      resourceMetadataUrl,
      verifier: {
        verifyAccessToken: token =>
          verify(token).catch(error => {
            throw new InvalidTokenError(error.message);
          }),
      },
    });
  },
  'SDK 2 requireBearerAuth + jose': ({ issuer, jwksUri }) => {
    const verify = joseVerify({ issuer, jwksUri });
    return sdk2BearerAuth({
      resourceMetadataUrl,
      verifier: {
        verifyAccessToken: token =>
          verify(token).catch(error => {
            throw new OAuthError(OAuthErrorCode.InvalidToken, error.message);
          }),
      },
    });
  },
  'express-oauth2-jwt-bearer': ({ issuer, jwksUri }) => oauth2JwtBearer({ issuer, jwksUri, audience: resource }),
  'mcp-auth': ({ issuer, jwksUri }) =>
    new MCPAuth({
      protectedResources: [{ metadata: { resource, authorizationServers: [mcpAuthServer(issuer, jwksUri)] } }],
    }).bearerAuth('jwt', { resource, audience: resource }),
  'passport-http-bearer + jose': ({ issuer, jwksUri }) => {
    const verify = joseVerify({ issuer, jwksUri });
    const passport = new Passport();
    passport.use(
      new BearerStrategy((token, done) =>
        verify(token).then(
          auth => done(null, auth),
          () => done(null, false),
        ),
      ),
    );
    return passport.authenticate('bearer', { session: false });
  },
};

const resourceMetadataUrl = 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp';

/** The headline use: discovery documents and a guard in one handler, mounted at the root of the app. */
export function ours({ issuer, jwksUri, fetch, now }) {
  return remoteAuth({
    baseUrl: 'https://mcp.example.com',
    authorizationServers: [issuer],
    verifier: jwtVerifier({ issuer, jwksUri, fetch, now }),
  });
}

/** The baseline: what one writes with jose alone. */
export function joseByHand(options) {
  const verify = joseVerify(options);
  return async (req, res, next) => {
    try {
      req.auth = await verify(/^Bearer (\S+)$/i.exec(req.headers.authorization)[1]);
    } catch {
      res
        .status(401)
        .set('WWW-Authenticate', `Bearer error="invalid_token", resource_metadata="${resourceMetadataUrl}"`)
        .json({ error: 'invalid_token' });
      return;
    }
    next();
  };
}

/** Verifies with jose and answers what both MCP SDKs call an AuthInfo. */
function joseVerify({ issuer, jwksUri, fetch = globalThis.fetch }) {
  const keys = createRemoteJWKSet(new URL(jwksUri), { [customFetch]: fetch });
  return async token => {
    const { payload } = await jwtVerify(token, keys, { issuer, audience: resource });
    return { token, clientId: payload.client_id, scopes: payload.scope.split(' '), expiresAt: payload.exp };
  };
}

const mcpAuthServer = (issuer, jwksUri) => ({
  type: 'oauth',
  metadata: {
    issuer,
    jwksUri,
    authorizationEndpoint: `${issuer}/authorize`,
    tokenEndpoint: `${issuer}/token`,
    registrationEndpoint: `${issuer}/register`,
    responseTypesSupported: ['code'],
    grantTypesSupported: ['authorization_code'],
    codeChallengeMethodsSupported: ['S256'],
  },
});
