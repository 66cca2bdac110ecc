const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string) => text.replace(/[&<>"]/g, character => escapes[character] as string);

/** One form without script; the request that it answers travels in hidden fields. */
export function signInPage(action: string, request: Record<string, string>, triedAs?: string): string {
  const hidden = Object.entries(request).map(
    ([name, value]) => `<input type="hidden" name="${escaped(name)}" value="${escaped(String(value))}">`,
  );
  const problem = triedAs === undefined ? '' : '<p role="alert">That name and password do not go together.</p>';
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sign in</title>
<style>
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
  body { max-width: 20rem; margin: 12vh auto; padding: 0 1rem; }
  label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; }
  input, button { margin: .25rem 0 1rem; padding: .5rem; }
</style>
<h1>Sign in</h1>
<p>This is the identity provider of the quickstart. Any name will do; the password is <code>password</code>.</p>
${problem}
<form method="post" action="${escaped(action)}">
  ${hidden.join('\n  ')}
  <label for="user">User name</label>
  <input id="user" name="user" autocomplete="username" required autofocus value="${escaped(triedAs ?? '')}">
  <label for="password">Password</label>
  <input id="password" name="password" type="password" autocomplete="current-password" required>
  <button type="submit" name="sign-in" value="yes">Sign in</button>
</form>
</html>
`;
}
