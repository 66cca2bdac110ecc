/** What each request of the sign-in is there for. */
const stories: Record<string, string> = {
  'POST /mcp 401': 'no token yet: the challenge names the document below',
  'POST /mcp 200': 'let in with the access token',
  'POST /mcp 202': 'let in with the access token',
  'GET /mcp 405': 'let in, but this server has no stream of news',
  'GET /.well-known/oauth-protected-resource/mcp 200': 'discovery: what is protected, and who signs people in',
  'GET /.well-known/oauth-authorization-server 200': 'discovery: the endpoints for that',
  'POST /register 201': 'registration: the client introduces itself',
  'GET /authorize 200': 'consent: the page that asks the person',
  'POST /consent 303': 'consent: the person allows it, and goes on to the identity provider',
  'GET /idp/authorize 200': 'sign-in: the page of the identity provider',
  'POST /idp/authorize 303': 'sign-in: name and password were right',
  'GET /auth/callback 303': 'back here, and on to the client with a code',
  'POST /token 200 authorization_code': 'token: the code becomes an access and a refresh token',
  'POST /token 200 refresh_token': 'refresh: new tokens for the refresh token',
};

export const heading = (text: string) => console.log(`\n${text}\n`);

/** A fetch that prints each request, what came of it, and what it is there for. */
export const announced: typeof fetch = async (input, init) => {
  const response = await fetch(input, init);
  const method = init?.method ?? 'GET';
  const { pathname } = new URL(input instanceof Request ? input.url : input);
  const grant = init?.body instanceof URLSearchParams ? init.body.get('grant_type') : undefined;
  const story = stories[[method, pathname, response.status, grant].filter(Boolean).join(' ')] ?? '';
  console.log(`  ${`${method} ${pathname}`.padEnd(50)}${response.status}  ${story}`);
  return response;
};
