/** The text protocol of NATS, and just enough of JetStream to have messages stored. */

import { type Client, type ConnectOptions, type Protocol, text } from "./client.ts";
import { Waiting } from "./waiting.ts";
import { Wire } from "./wire.ts";

const Subscription = { INBOX: "1", USER: "2", GROUP: "3" } as const;
const newline = 0x0a;

/** NATS: groups and users are subjects. A stream of JetStream, where there is one, answers each message. */
export const nats: Protocol = {
  answers: (durable) => durable,

  async connect({ port, user, durable, listener }: ConnectOptions): Promise<Client> {
    const inbox = `inbox.${user}`;
    const pongs = new Waiting();
    const wire = await Wire.connect(port, parse, (why) => listener.failed(`NATS: ${why}`));
    const replyTo = durable ? `${inbox} ` : "";
    wire.write('CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"1"}\r\n');
    await subscribe(inbox, Subscription.INBOX);
    await subscribe(`user.${user}`, Subscription.USER);

    return {
      join: (group) => subscribe(`group.${group}`, Subscription.GROUP),
      sendToGroup: (group) => publish(`group.${group}`),
      sendTo: (other) => publish(`user.${other}`),
      close: () => wire.close(),
    };

    /** Resolves once the server has the subscription. */
    async function subscribe(subject: string, subscription: string): Promise<void> {
      wire.write(`SUB ${subject} ${subscription}\r\nPING\r\n`);
      await pongs.next();
    }

    function publish(subject: string): void {
      wire.write(`PUB ${subject} ${replyTo}${text.length}\r\n${text}\r\n`);
    }

    function parse(buffer: Buffer): number {
      let at = 0;
      let received = 0;
      let answered = 0;
      for (;;) {
        const end = buffer.indexOf(newline, at);
        if (end < 0) break;
        const line = buffer.toString("latin1", at, end - 1);
        if (line.startsWith("MSG ")) {
          const [, , subscription, ...more] = line.split(" ");
          const next = end + 1 + Number(more.at(-1)) + 2;
          if (next > buffer.length) break;
          if (subscription === Subscription.INBOX) {
            if (buffer.toString("latin1", end + 1, next).includes('"error"'))
              throw new Error("JetStream refused a message");
            answered++;
          } else {
            received++;
          }
          at = next;
          continue;
        }
        if (line === "PONG") pongs.came();
        else if (line === "PING") wire.write("PONG\r\n");
        else if (line.startsWith("-ERR")) throw new Error(line);
        at = end + 1;
      }
      if (received > 0) listener.received(user, received);
      if (answered > 0) listener.answered(user, answered);
      return at;
    }
  },
};

const stream = "BENCH";

/** Makes JetStream store all that is sent to groups and users. */
export async function createJetStream(port: number): Promise<void> {
  await askJetStream(port, `CREATE.${stream}`, {
    name: stream,
    subjects: ["group.*", "user.*"],
    storage: "file",
    retention: "limits",
    discard: "old",
    num_replicas: 1,
  });
}

/** Returns how many messages it has stored. */
export async function countJetStream(port: number): Promise<number> {
  return (await askJetStream(port, `INFO.${stream}`, {})).state.messages;
}

/** What JetStream says of a stream. */
interface StreamInfo {
  state: { messages: number };
}

/**
 * Sends a request of the API of streams.
 *
 * @throws Error when it is refused
 */
async function askJetStream(port: number, method: string, body: object): Promise<StreamInfo> {
  const request = JSON.stringify(body);
  const done = new Waiting();
  let response = "";
  const wire = await Wire.connect(
    port,
    (buffer) => {
      response += buffer.toString("latin1");
      if (/^MSG .*\r\n.*\r\n/m.test(response)) done.came();
      return buffer.length;
    },
    () => done.came(),
  );
  const answered = done.next();
  wire.write(
    'CONNECT {"verbose":false}\r\nSUB answer 1\r\n' +
      `PUB $JS.API.STREAM.${method} answer ${request.length}\r\n${request}\r\n`,
  );
  await answered;
  wire.close();
  const [, answer = ""] = /^MSG .*\r\n(.*)\r\n/m.exec(response) ?? [];
  if (answer === "" || answer.includes('"error"'))
    throw new Error(`JetStream refused: ${response.slice(-300)}`);
  return JSON.parse(answer) as StreamInfo;
}
