import { jwtVerifier } from '../../lib/index.js';

/**
 * A verifier under tokens that nobody signed, each sent three times, whose JSON takes V8 forty times its length.
 * Prints how the last one was refused.
 */
const [count] = process.argv.slice(2);
const issuer = 'https://idp.example.com';
const auth = jwtVerifier({ issuer, audience: 'api', secret: 'a-secret-of-more-than-thirty-two-bytes' });
const encode = (text: string) => Buffer.from(text).toString('base64url');
const junk = Array.from({ length: 1_250 }, () => '{"34":0}').join(',');

let last = '';
for (let i = 0; i < Number(count); i++) {
  const claims = `{"iss":"${issuer}","aud":"api","exp":9999999999,"jti":"${i}","junk":[${junk}]}`;
  const token = `${encode('{"alg":"HS256"}')}.${encode(claims)}.${encode(`${i}`.padStart(32))}`;
  for (let time = 0; time < 3; time++) {
    const answer = await auth.check(token);
    last = answer.outcome === 'reject' ? answer.reason : answer.outcome;
  }
}
console.log(last);
