// The strictest OAuth server at hand, below GitLab's paths, and as much of GitLab's API as a link asks for.
//
// PKCE is required. A refresh token works once, and its second use ends everything that came of the same consent. The
// callback has `iss` (RFC 9207). Whoever signs in is whom they say they are, and then agrees on the library's own page.
// It takes any free port of 127.0.0.1 and writes its URL to standard output once it listens.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { Provider } from 'oidc-provider';

const SCOPES = ['api', 'read_api', 'read_user', 'read_repository', 'write_repository', 'openid'];
// Seconds that the next access tokens live; 7200 are GitLab's.
let lifetime = 7200;
// Calls of the token and revocation endpoints, in order: `refresh_token 200`, `revoke 200`.
const calls = [];

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  cookies: { keys: [randomBytes(32).toString('hex')] },
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true, charset: 'base-20', mask: '****-****' },
    revocation: { enabled: true },
  },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
  pkce: { required: () => true },
  responseTypes: ['code'],
  rotateRefreshToken: true,
  routes: {
    authorization: '/oauth/authorize',
    token: '/oauth/token',
    revocation: '/oauth/revoke',
    device_authorization: '/oauth/authorize_device',
    code_verification: '/oauth/device',
  },
  scopes: SCOPES,
  ttl: { AccessToken: () => lifetime, RefreshToken: 1209600, Grant: 1209600, Session: 1209600, Interaction: 3600 },
});

// What a client calls, as the tests count it.
provider.use(async (ctx, next) => {
  await next();
  const name = ctx.path.replace('/oauth/', '');
  if (ctx.method === 'POST' && (name === 'token' || name === 'revoke')) {
    calls.push(`${ctx.oidc?.params?.grant_type ?? name} ${ctx.status}`);
  }
});

const stranger = (ctx) => {
  ctx.status = 401;
  ctx.body = { message: '401 Unauthorized' };
};

// GitLab's API, as far as a link asks; each handler gets the access token.
const api = {
  '/api/v4/user': (ctx, token) => {
    ctx.body = { id: 7, username: token.accountId, name: token.accountId, state: 'active', bot: false };
  },
  '/api/v4/version': (ctx) => {
    ctx.body = { version: '17.9.0', revision: 'oidc' };
  },
  '/oauth/token/info': (ctx, token) => {
    const left = token.exp - Math.floor(Date.now() / 1000);
    ctx.body = { resource_owner_id: 7, scope: [...token.scopes], expires_in: left };
  },
};

provider.use(async (ctx, next) => {
  const handler = ctx.method === 'GET' && api[ctx.path];
  if (!handler) return next();
  const secret = ctx.get('authorization').replace(/^bearer /i, '');
  const token = secret && (await provider.AccessToken.find(secret));
  return token ? handler(ctx, token) : stranger(ctx);
});

// For the tests alone; each handler gets the fields of the form.
const control = {
  '/control/applications': async (ctx, fields) => {
    const client = {
      client_id: randomBytes(16).toString('hex'),
      client_secret: randomBytes(32).toString('hex'),
      client_name: 'Bindery',
      redirect_uris: [fields.get('redirect_uri')],
      response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      token_endpoint_auth_method: 'client_secret_post',
    };
    await provider.Client.adapter.upsert(client.client_id, client);
    ctx.body = { id: client.client_id, secret: client.client_secret };
  },
  '/control/lifetime': (ctx, fields) => {
    lifetime = Number(fields.get('seconds'));
    ctx.status = 204;
  },
  '/control/calls': (ctx) => {
    ctx.body = calls;
  },
};

provider.use(async (ctx, next) => {
  const handler = control[ctx.path];
  return handler ? handler(ctx, new URLSearchParams(await text(ctx.req))) : next();
});

server.on('request', provider.callback());
console.log(issuer);
