/** XMPP over plain TCP: registers, logs in, joins rooms, sends, and counts what arrives. */

import { type Client, type ConnectOptions, marker, type Protocol, text } from "./client.ts";
import { Wire } from "./wire.ts";

/** The domain that the server serves. */
export const domain = "localhost";

const markerBytes = Buffer.from(marker);
const password = "bench";

/**
 * XMPP: groups are rooms of multi-user chat, users are accounts, which are
 * registered when they first come. Servers confirm nothing unless asked to by
 * stream management, which is left out as it costs them more.
 */
export const xmpp: Protocol = {
  answers: () => false,

  async connect({ port, user, listener }: ConnectOptions): Promise<Client> {
    const wire = await Wire.connect(
      port,
      () => 0,
      (why) => listener.failed(`XMPP: ${why}`),
    );
    const name = `user${user}`;
    const plain = Buffer.from(`\0${name}\0${password}`).toString("base64");
    const header = `<stream:stream to='${domain}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`;
    await ask(`<?xml version='1.0'?>${header}`, "</stream:features>");
    await ask(
      `<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>${name}</username><password>${password}</password></query></iq>`,
      "type='result'",
      // Those who registered before are refused, whole, and can log in all the same.
      "</iq>",
    );
    await ask(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${plain}</auth>`, "<success");
    await ask(header, "</stream:features>");
    await ask(
      "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bench</resource></bind></iq>",
      "</bind>",
    );
    await ask("<presence/>", "<presence");
    wire.parse = count;

    return {
      join: (group) =>
        ask(
          `<presence to='${group}@conference.${domain}/${name}'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>`,
          "<subject",
        ).then(() => {
          wire.parse = count;
        }),
      sendToGroup: (group) => send(`${group}@conference.${domain}`, "groupchat"),
      sendTo: (other) => send(`user${other}@${domain}`, "chat"),
      close: () => wire.close(),
    };

    /** Sends something and resolves once the answer has one of the words in it. */
    function ask(request: string, ...words: string[]): Promise<void> {
      let answer = "";
      return new Promise((resolve) => {
        wire.parse = (buffer) => {
          answer += buffer.toString("latin1");
          if (
            /<failure|<stream:error|type='error'/.test(answer) &&
            !words.some((word) => answer.includes(word))
          ) {
            throw new Error(answer.slice(-500));
          }
          if (words.some((word) => answer.includes(word))) {
            wire.parse = (more) => more.length;
            resolve();
          }
          return buffer.length;
        };
        wire.write(request);
      });
    }

    function send(to: string, type: string): void {
      wire.write(`<message to='${to}' type='${type}' id='m'><body>${text}</body></message>`);
    }

    function count(buffer: Buffer): number {
      let received = 0;
      let done = 0;
      for (let at = buffer.indexOf(markerBytes); at >= 0; at = buffer.indexOf(markerBytes, done)) {
        received++;
        done = at + marker.length;
      }
      if (received > 0) listener.received(user, received);
      // The end may be the beginning of a marker.
      return Math.max(done, buffer.length - marker.length + 1, 0);
    }
  },
};
