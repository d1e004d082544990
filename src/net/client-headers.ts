import type { IncomingHttpHeaders } from "node:http";
import { Metadata } from "nice-grpc";
import { ChatError, ErrorReason } from "../model/errors.ts";

/** Names the device of a caller whose token is the host's own. */
export const deviceKey = "parlance-device";

/** The metadata of clients that the server reads. Whatever else they send is never looked at. */
const ownKeys = ["authorization", deviceKey];

/** The headers in which proxies tell where a caller is. A client's own are not believed, so nothing in them is refused. */
export const forwardedKeys = ["x-forwarded-for", "forwarded"] as const;
const metadataKeys: readonly string[] = [...ownKeys, ...forwardedKeys];

/** The headers that the protocols of the HTTP port read: Connect, gRPC-Web and gRPC. */
const protocolKeys = [
  "accept-encoding",
  "connect-accept-encoding",
  "connect-content-encoding",
  "connect-protocol-version",
  "connect-timeout-ms",
  "content-encoding",
  "content-length",
  "content-type",
  "grpc-accept-encoding",
  "grpc-encoding",
  "grpc-timeout",
  "te",
  "x-grpc-web",
];

/** The characters allowed in a value: HTTP permits more (RFC 9110 section 5.5), gRPC metadata does not. */
const printableAscii = /^[ -~]*$/;

/**
 * Says what is wrong with the metadata of a request, if anything is.
 *
 * @param rawHeaders names and values in turn, as Node gives them; names in any case
 */
export function wrongMetadata(rawHeaders: readonly string[]): ChatError | undefined {
  return wrongValue(rawHeaders, ownKeys);
}

/** Says what is wrong with the headers that a request over HTTP is read by, if anything is. */
export function wrongHeaders(rawHeaders: readonly string[]): ChatError | undefined {
  return wrongMetadata(rawHeaders) ?? wrongValue(rawHeaders, protocolKeys);
}

/** Returns the metadata that the server reads, repeats joined by commas, without the values that `wrongMetadata` refuses. */
export function metadataOf(rawHeaders: readonly string[]): Metadata {
  const metadata = Metadata();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const key = keyIn(rawHeaders[i] as string, metadataKeys);
    const value = rawHeaders[i + 1] as string;
    if (key !== undefined && printableAscii.test(value)) metadata.append(key, value);
  }
  return metadata;
}

/** Returns the headers that the protocols read. @param headers of a request without fault by `wrongHeaders` */
export function protocolHeaders(headers: IncomingHttpHeaders): Headers {
  const read = new Headers();
  for (const key of protocolKeys) {
    const value = headers[key];
    if (value !== undefined) read.set(key, String(value));
  }
  return read;
}

function wrongValue(rawHeaders: readonly string[], keys: readonly string[]): ChatError | undefined {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const key = keyIn(rawHeaders[i] as string, keys);
    if (key === undefined || printableAscii.test(rawHeaders[i + 1] as string)) continue;
    return new ChatError(
      ErrorReason.INVALID_METADATA,
      `the metadata ${key} may consist of printable ASCII characters only`,
    );
  }
  return undefined;
}

/** Returns which of some keys a header's name is, in whatever case. Every call comes here with every header. */
function keyIn(name: string, keys: readonly string[]): string | undefined {
  for (const key of keys)
    if (key.length === name.length && (key === name || key === name.toLowerCase())) return key;
  return undefined;
}
