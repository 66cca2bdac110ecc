const attribute = (tag: string, name: string) =>
  new RegExp(`\\b${name}="([^"]*)"`)
    .exec(tag)?.[1]
    ?.replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');

/**
 * Does what a person does in a browser, from the authorization URL until the client's own address: allows what is asked
 * for, signs in, follows every redirect. Answers that last URL, which carries the code.
 */
export async function browse(fetch: typeof globalThis.fetch, start: URL, redirectUri: string): Promise<URL> {
  const cookies = new Map<string, string>();
  const person: Record<string, string> = { user: 'user-1', password: 'password', decision: 'approve' };
  let request = new Request(start);
  while (!request.url.startsWith(redirectUri)) {
    const cookie = [...cookies].map(pair => pair.join('=')).join('; ');
    const response = await fetch(request.url, {
      method: request.method,
      headers: { accept: 'text/html', ...(cookie && { cookie }) },
      ...(request.method === 'POST' && { body: new URLSearchParams(await request.text()) }),
      redirect: 'manual',
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) as unknown as [string, string, string];
      if (value) cookies.set(name, value);
      else cookies.delete(name);
    }
    const page = await response.text();
    const location = response.headers.get('location');
    if (location) {
      request = new Request(new URL(location, request.url));
      continue;
    }
    const action = attribute(/<form\b[^>]*>/.exec(page)?.[0] ?? '', 'action');
    if (action === undefined) throw new Error(`No way on from ${request.url}: ${response.status}\n${page}`);
    const fields = new URLSearchParams();
    for (const [tag] of page.matchAll(/<(input|button)\b[^>]*>/g)) {
      const name = attribute(tag, 'name');
      if (name !== undefined) fields.set(name, person[name] ?? attribute(tag, 'value') ?? '');
    }
    request = new Request(new URL(action, request.url), { method: 'POST', body: fields });
  }
  return new URL(request.url);
}
