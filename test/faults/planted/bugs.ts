/** A change of one file: `find` has to be there exactly once. */
export interface Edit {
  file: string;
  find: string;
  replace: string;
}

/** A mistake that somebody could make, and the faults that should notice it. */
export interface Bug {
  /** Its number in the list of docs/reliability.md. */
  number: number;
  name: string;
  /** What is wrong, in a sentence. */
  text: string;
  edits: readonly Edit[];
  /** Faults to run, until one of them notices. */
  faults: readonly string[];
}

const appendMessage = "src/store/sqlite/tables/append-message.ts";
const appendCall = `    const place = log.append(
      key ?? begin(draft),
      EventKind.MESSAGE,
      draft.senderId,
      clientMessageId,
      draft.body,
    );
`;

/** Bugs of one node, and of many. They are planted in a copy of the sources, so that the sources have no trace of them. */
export const bugs: readonly Bug[] = [
  {
    number: 1,
    name: "ack-before-commit",
    text: "A send is answered before it is committed.",
    edits: [
      {
        file: "src/store/sqlite/thread/serve.ts",
        find: "      engine.commit();\n",
        replace: `      port.postMessage(done);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 40);
      engine.commit();
      if (done.appended !== undefined) return undefined as never;
`,
      },
      {
        file: "src/store/sqlite/thread/serve.ts",
        find: "      port.postMessage(answer(message));\n",
        replace: `      const reply = answer(message);
      if (reply !== undefined) port.postMessage(reply);
`,
      },
    ],
    faults: ["kill-storm"],
  },
  {
    number: 2,
    name: "synchronous-normal",
    text: "Commits do not wait for the disk (`synchronous=NORMAL`).",
    edits: [
      {
        file: "src/store/sqlite/file/database.ts",
        find: "PRAGMA journal_mode = WAL;\n    PRAGMA synchronous = FULL;",
        replace: "PRAGMA journal_mode = WAL;\n    PRAGMA synchronous = NORMAL;",
      },
    ],
    faults: ["power-cut"],
  },
  {
    number: 3,
    name: "seq-from-memory",
    text: "The next position comes from memory instead of from the log. (With many nodes: `max(seq) + 1` without a lock.)",
    edits: [
      {
        file: "src/store/sqlite/thread/writer.ts",
        find: "      log.refresh();\n    },\n    commit",
        replace: "      if (log.acceptTimeMs === 0) log.refresh();\n    },\n    commit",
      },
    ],
    faults: ["disk-full", "fsync-fails"],
  },
  {
    number: 4,
    name: "idempotence-in-another-transaction",
    text: "The client message id is stored after the message's own transaction.",
    edits: [
      {
        file: appendMessage,
        find: appendCall,
        replace: `    const repeated = earlierOf(draft, key);
    if (repeated !== undefined) return repeated;
    const place = log.append(key ?? begin(draft), EventKind.MESSAGE, draft.senderId, null, draft.body);
    const update = "UPDATE events SET client_message_id = ? WHERE position = ?";
    setTimeout(() => database.prepare(update).run(clientMessageId, place?.position ?? 0), 0);
`,
      },
    ],
    faults: ["die-around-commit"],
  },
  {
    number: 5,
    name: "idempotence-in-memory",
    text: "Client message ids are kept in memory only.",
    edits: [
      {
        file: appendMessage,
        find: appendCall,
        replace: `    const memory = ((globalThis as any).memory ??= new Map());
    const memoryKey = draft.senderId + "/" + draft.clientMessageId;
    if (clientMessageId !== null && memory.has(memoryKey))
      return { ...memory.get(memoryKey), duplicate: true };
    const place = log.append(key ?? begin(draft), EventKind.MESSAGE, draft.senderId, null, draft.body);
    memory.set(memoryKey, place);
`,
      },
    ],
    faults: ["die-around-commit", "kill-storm"],
  },
  {
    number: 6,
    name: "hand-over-without-overlap",
    text: "Events that arrive while the log is being read are not kept for afterwards.",
    edits: [
      {
        file: "src/live/session.ts",
        find: "    else this.#tail.push(message);\n",
        replace: "",
      },
    ],
    faults: ["model", "kill-storm"],
  },
  {
    number: 7,
    name: "membership-at-subscribe-only",
    text: "Who was a member when they connected goes on getting the group's events.",
    edits: [
      {
        file: "src/live/delivery.ts",
        find: "    if (change?.left !== undefined) this.#hub.leave(groupId, change.left, message.position);\n",
        replace: "",
      },
    ],
    faults: ["remove-member", "model"],
  },
  {
    number: 8,
    name: "queue-without-limit",
    text: "The outbox of a reader that does not read grows for ever.",
    edits: [
      {
        file: "src/live/outbox.ts",
        find: "    if (this.#bytes > 0 && this.#bytes + frame.length > this.#options.maxBytes) return false;\n",
        replace: "",
      },
    ],
    faults: ["zero-window"],
  },
  {
    number: 9,
    name: "release-in-finally-only",
    text: "A session is released when its generator ends, which a waiting one does not.",
    edits: [
      {
        file: "src/rpc/stream.ts",
        find: `  context.signal.addEventListener("abort", () => chat.sessions.close(session));
  if (context.signal.aborted) chat.sessions.close(session);
`,
        replace: "",
      },
    ],
    faults: ["leavers"],
  },
  {
    number: 10,
    name: "resume-at-cursor",
    text: "A resumed stream begins with the event at the cursor.",
    edits: [
      {
        file: "src/live/sessions.ts",
        find: "session.startAfter(isBehind ? missed.through : start);",
        replace: "session.startAfter(isBehind ? missed.through : Math.max(0, start - 1));",
      },
    ],
    faults: ["kill-storm"],
  },
  {
    number: 11,
    name: "presence-on-wall-clock",
    text: "How long somebody is gone is measured on the wall clock.",
    edits: [
      {
        file: "src/live/presences.ts",
        find: "tellMs: this.#clock.monotonic() +",
        replace: "tellMs: this.#clock.now() +",
      },
      {
        file: "src/live/presences.ts",
        find: "const nowMs = this.#clock.monotonic();\n    for (const [userId, { tellMs",
        replace: "const nowMs = this.#clock.now();\n    for (const [userId, { tellMs",
      },
    ],
    faults: ["clock-jumps"],
  },
  {
    number: 13,
    name: "reconnect-without-jitter",
    text: "Clients come back without jitter.",
    edits: [
      {
        file: "clients/typescript/reconnect.ts",
        find: "return atLeastMs + this.#random() * ceiling;",
        replace: "return atLeastMs + ceiling;",
      },
    ],
    faults: ["reconnect-storm"],
  },
  {
    number: 14,
    name: "trust-bus-for-delivery",
    text: "What comes over the bus between nodes is delivered as it comes.",
    edits: [
      {
        file: "src/live/tail.ts",
        find: "      this.#arrived.set(message.position, message);\n      this.#waitOrRead();\n",
        replace: "      this.#seen = message.position;\n      this.#options.deliver(message);\n",
      },
    ],
    faults: ["two-writers", "bus-drops"],
  },
  {
    number: 15,
    name: "trust-notices",
    text: "A node that was told of an event goes on without it, though the event itself did not come.",
    edits: [
      {
        file: "src/live/tail.ts",
        find: "(subjects === undefined || this.#concerns(subjects))",
        replace: "subjects === undefined",
      },
    ],
    faults: ["bus-drops"],
  },
  {
    number: 16,
    name: "no-reading-of-the-tail",
    text: "The end of the log is read only when the bus gives a reason.",
    edits: [
      {
        file: "src/live/tail.ts",
        find: "  start(): void {\n    this.#pollLater();\n",
        replace: "  start(): void {\n",
      },
    ],
    faults: ["nats-down"],
  },
  {
    number: 17,
    name: "leases-for-ever",
    text: "What a node said of a user counts until it says otherwise, also when it is dead.",
    edits: [
      {
        file: "src/live/remote-presences.ts",
        find: "nowMs - lease.affirmedMs <= leaseMs",
        replace: "nowMs >= lease.affirmedMs",
      },
    ],
    faults: ["kill-node"],
  },
  {
    number: 18,
    name: "logout-by-bus-alone",
    text: "A node hears of logouts elsewhere over the bus alone.",
    edits: [
      {
        file: "src/live/logouts.ts",
        find: "  async read(): Promise<void> {\n",
        replace: "  async read(): Promise<void> {\n    if (this.#through >= 0) return;\n",
      },
    ],
    faults: ["log-out-on-nodes"],
  },
];

/** Bugs of the list that cannot exist here yet, and why. */
export const notYet: ReadonlyArray<{ number: number; text: string; why: string }> = [
  { number: 12, text: "The cache of signing keys is keyed by `kid` alone.", why: "no key sets by URL yet" },
];
