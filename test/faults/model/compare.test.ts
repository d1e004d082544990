import { expect, test } from "vitest";
import type { SeenEvent } from "../history.ts";
import { ChatModel } from "./chat-model.ts";
import { compareStream, pairUp, takeIn } from "./compare.ts";
import { DeviceModel } from "./device-model.ts";
import type { Answer, Send } from "./operations.ts";

/** A model with the group "team" of Alice and Bob, and what Bob's phone has to get of three messages. */
function chatOfThree() {
  const model = new ChatModel("", "§", 0);
  const groupId = "team";
  model.log.perform(
    { do: "create", by: "alice", groupId, memberIds: ["bob"], open: true, history: false },
    { done: true },
  );
  const sends = [1, 2, 3].map(() => model.newSend("alice", { groupId }));
  takeIn(
    model,
    pairUp(
      sends,
      sends.map((_, i) => answer(3 + i)),
    ),
  );
  const due = model.log.eventsFor("bob", 0);
  const received = due.map(
    ({ conversationId, seq, send, messageId }): SeenEvent =>
      ({
        ...{ conversationId, seq, position: seq, kind: send === undefined ? "groupChanged" : "message" },
        ...(send !== undefined && { senderId: send.by, body: send.body, messageId }),
      }) as SeenEvent,
  );
  return { model, groupId, due, received };
}

function answer(seq: number, duplicate = false): Answer {
  return { sent: { conversationId: "g:team", seq, position: seq, messageId: `id-${seq}`, duplicate } };
}

test("what a stream received wrongly is told apart", () => {
  const { due, received } = chatOfThree();
  const phone = new DeviceModel("bob", "phone");
  const judge = (events: SeenEvent[], whole = true) => {
    try {
      compareStream(phone, 0, { events }, due, whole);
      return "right";
    } catch (error) {
      return (error as { rule?: string }).rule;
    }
  };
  const [first, second, third, fourth, fifth] = received as [
    SeenEvent,
    SeenEvent,
    SeenEvent,
    SeenEvent,
    SeenEvent,
  ];
  expect(judge(received)).toBe("right");
  expect(judge([first, second], false), "broken off").toBe("right");
  expect(judge([first, second]), "nothing more comes").toBe("I12");
  expect(judge([first, second, third, third, fourth, fifth]), "a repeat").toBe("I5");
  expect(judge([first, second, fourth, fifth]), "a hole").toBe("I6");
  expect(judge([first, second, third, fifth, fourth]), "the wrong order").toBe("I6");
  expect(judge([...received, { ...fifth, seq: 6 }]), "one after the last").toBe("I9");
  expect(judge([first, second, third, fourth, { ...fifth, body: "else" }]), "another text").toBe("I4");
});

test("answers to sends at the same time decide their order, and have to fit together", () => {
  const { model, groupId } = chatOfThree();
  const [one, two] = [model.newSend("alice", { groupId }), model.newSend("bob", { groupId })];
  takeIn(model, pairUp([one, two], [answer(7), answer(6)]));
  expect(model.log.log.slice(-2).map(({ send }) => send)).toEqual([two, one]);
  const gap = model.newSend("alice", { groupId });
  expect(() => takeIn(model, pairUp([gap], [answer(9)]))).toThrow(/answer to/);
});

test("a repeat has to be answered as one, and with the seq of the first", () => {
  const { model } = chatOfThree();
  const [first] = model.attempts as [Send];
  takeIn(model, pairUp([first], [answer(3, true)]));
  expect(() => takeIn(model, pairUp([first], [answer(3)]))).toThrow(/answer to/);
  expect(() => takeIn(model, pairUp([first], [answer(6, true)]))).toThrow(/answer to/);
});

test("a change takes the seq that no send got, and decides which sends may have been refused", () => {
  const { model, groupId } = chatOfThree();
  const change = { do: "leave", by: "bob", groupId } as const;
  const sends = ["alice", "alice", "bob"].map((by) => model.newSend(by, { groupId }));
  const answers = [answer(6), answer(8), { refused: "NOT_A_MEMBER" }];
  takeIn(model, pairUp(sends, answers), { change, answer: { done: true } });
  expect(model.log.log.slice(-3).map(({ seq, send }) => [seq, send?.by])).toEqual([
    [6, "alice"],
    [7, undefined],
    [8, "alice"],
  ]);
  const late = model.newSend("alice", { groupId });
  expect(() => takeIn(model, pairUp([late], [{ refused: "NOT_A_MEMBER" }]))).toThrow(/was refused/);
  const gone = model.newSend("bob", { groupId });
  expect(() => takeIn(model, pairUp([gone], [answer(9)]))).toThrow(/answer to/);
});
