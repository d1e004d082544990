/**
 * gRPC-Web as text: the same bytes in base64, for clients that cannot take
 * others. A body may be several pieces of base64 one after the other, each with
 * padding of its own, and so may what is answered: what is sent is not held
 * back until its number of bytes divides by three.
 */

import { Code, ConnectError } from "@connectrpc/connect";
import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";

const textType = /^application\/grpc-web-text(?=\+|$)/;
const binaryPrefix = "application/grpc-web";

/** Has a request answered that may be gRPC-Web as text, which the handler itself does not know. */
export async function answerInText(
  handler: UniversalHandler,
  request: UniversalServerRequest,
): Promise<UniversalServerResponse> {
  const { header } = request;
  const type = header.get("content-type") ?? "";
  if (!textType.test(type)) return handler(request);
  header.set("content-type", type.replace(textType, binaryPrefix));
  header.delete("content-length");
  return encodeText(
    await handler({ ...request, body: decodeText(request.body as AsyncIterable<Uint8Array>) }),
  );
}

/**
 * Decodes a request's body.
 *
 * @throws ConnectError INVALID_ARGUMENT when it is not base64
 */
async function* decodeText(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = "";
  for await (const chunk of body) {
    const text =
      rest +
      Buffer.from(chunk)
        .toString("latin1")
        .replace(/[\r\n]+/g, "");
    const whole = text.length - (text.length % 4);
    rest = text.slice(whole);
    for (const [piece] of text.slice(0, whole).matchAll(/[^=]*=*/g))
      if (piece !== "") yield decodePiece(piece);
  }
  if (rest !== "") throw notBase64();
}

function decodePiece(piece: string): Uint8Array {
  if (piece.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(piece)) throw notBase64();
  return Buffer.from(piece, "base64");
}

function notBase64(): ConnectError {
  return new ConnectError("the body is not base64, as gRPC-Web as text asks for", Code.InvalidArgument);
}

/** Encodes an answer in binary as text, piece by piece. */
function encodeText(answer: UniversalServerResponse): UniversalServerResponse {
  const { body } = answer;
  // Without a body it is a status of HTTP.
  if (body === undefined) return answer;
  const header = new Headers(answer.header);
  const type = header.get("content-type");
  if (type?.startsWith(binaryPrefix))
    header.set("content-type", `${binaryPrefix}-text${type.slice(binaryPrefix.length)}`);
  return { ...answer, header, body: { [Symbol.asyncIterator]: () => encoded(body[Symbol.asyncIterator]()) } };
}

/** No generator: one that waits for its next piece could not be let go. */
function encoded(pieces: AsyncIterator<Uint8Array>): AsyncIterator<Uint8Array> {
  return {
    async next() {
      const next = await pieces.next();
      if (next.done) return next;
      return { done: false, value: Buffer.from(Buffer.from(next.value).toString("base64")) };
    },
    return: async (value) => (await pieces.return?.(value)) ?? { done: true, value },
  };
}
