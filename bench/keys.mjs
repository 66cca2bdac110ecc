import { generateKeyPairSync, sign } from 'node:crypto';

const algorithms = {
  RS256: { generate: () => generateKeyPairSync('rsa', { modulusLength: 2048 }), signer: key => key },
  ES256: {
    generate: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    signer: key => ({ key, dsaEncoding: 'ieee-p1363' }),
  },
};

let count = 0;

/** A key pair that signs compact JWTs; node:crypto alone, so that no contender is warmed up by the minting. */
export function signingKey(alg) {
  const { publicKey, privateKey } = algorithms[alg].generate();
  const kid = `${alg}-${++count}`;
  const signer = algorithms[alg].signer(privateKey);
  return {
    alg,
    kid,
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' },
    sign: (claims, header = {}) => compact({ alg, kid, ...header }, claims, input => sign('sha256', input, signer)),
  };
}

/** A compact JWS over `claims`; `signature` gets the signing input and answers bytes. */
export function compact(header, claims, signature) {
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${signature(Buffer.from(input)).toString('base64url')}`;
}

const encode = value => Buffer.from(JSON.stringify(value)).toString('base64url');
