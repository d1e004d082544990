import { SignJWT } from "jose";

/** The claims of a token and the key to sign it with. */
export interface MintOptions {
  /** The user the token is for. */
  userId: string;
  ttlSeconds: number;
  /** The secret that the server checks tokens with, at least 32 bytes. */
  secret: string;
  issuer?: string | undefined;
  audience?: string | undefined;
}

/** Makes a token as a host application would, for development and tests. */
export function mintToken(options: MintOptions): Promise<string> {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const token = new SignJWT()
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(options.userId)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + options.ttlSeconds);
  if (options.issuer !== undefined) token.setIssuer(options.issuer);
  if (options.audience !== undefined) token.setAudience(options.audience);
  return token.sign(new TextEncoder().encode(options.secret));
}
