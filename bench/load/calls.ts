import { headerBlock } from "../../test/bad-input/raw-http2.ts";
import { type Http2Connection, messageFrame } from "./http2-connection.ts";
import { MessageReader } from "./message-reader.ts";

const chatService = "/parlance.chat.v1.ChatService";

/** The paths of the calls that are measured. */
export const paths = {
  login: `${chatService}/Login`,
  sendDirect: `${chatService}/SendDirect`,
  listen: `${chatService}/Listen`,
  stream: `${chatService}/Stream`,
  createGroup: "/parlance.chat.v1.GroupService/CreateGroup",
  addMembers: "/parlance.chat.v1.GroupService/AddMembers",
  listMessages: "/parlance.chat.v1.MessageService/ListMessages",
} as const;

/** Makes the headers of a call. One block serves any number of calls. */
export function callHeaders(path: string, token: string | undefined): Buffer {
  return headerBlock(path, token === undefined ? [] : [["authorization", `Bearer ${token}`]]);
}

/** Makes a unary call and resolves with the encoded response. */
export function call(connection: Http2Connection, headers: Buffer, request: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let response: Buffer | undefined;
    const reader = new MessageReader((buffer, start, end) => {
      response = Buffer.from(buffer.subarray(start, end));
    });
    const stream = connection.open(headers, {
      onData: (buffer, start, end) => reader.read(buffer, start, end),
      onEnd: (failure) => {
        if (response !== undefined) resolve(response);
        else reject(new Error(failure ?? "a call was refused; the server logs why at level debug"));
      },
    });
    connection.send(stream, messageFrame(request, true));
  });
}
