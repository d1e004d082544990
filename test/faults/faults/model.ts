import fc from "fast-check";
import { checkStore } from "../../../src/store/sqlite/file/check.ts";
import { checkLog } from "../checker/logs.ts";
import type { Violation } from "../checker/violation.ts";
import type { Fault } from "../fault.ts";
import { ChatModel } from "../model/chat-model.ts";
import { type ChatCommand, chatCommands, firstCommand } from "../model/commands.ts";
import { compareAll } from "../model/compare.ts";
import { Mismatch } from "../model/operations.ts";
import { System } from "../model/system.ts";
import { bodyMarker } from "../storm.ts";

/** A small outbox, so that it takes little to be a slow reader, and no limit of sessions, as many are opened. */
const serverArgs = [
  ...["--max-content-bytes", "32768", "--max-request-bytes", "65536", "--outbox-max-bytes", "65536"],
  ...["--max-new-sessions-per-second", "0"],
];

const model: Fault = {
  id: "K6",
  name: "model",
  title: "random lists of commands, `kill -9` among them, against a model of the log",
  figureTitle: "runs, commands, crashes; the shortest list that shows a difference",
  ci: true,
  async run(context) {
    const server = await context.serve({ args: serverArgs });
    const seen = { runs: 0, commands: 0, crashes: 0 };
    const commands = chatCommands(context.scale(50, 60), context.scale(1, 3));
    const runOnce = async (first: ChatCommand, list: Iterable<ChatCommand>) => {
      const chat = new ChatModel(`r${++seen.runs}-`, bodyMarker, 1);
      const system = new System(server);
      try {
        await fc.asyncModelRun(() => ({ model: chat, real: system }), [first, ...list]);
        await compareAll(chat, system);
      } finally {
        await system.close();
        seen.crashes += system.crashes;
        seen.commands += namesOf([first, list]).length;
        if (!server.running) await server.start();
      }
    };
    let last = Promise.resolve();
    const property = fc.asyncProperty(firstCommand, commands, (first, list) => {
      last = runOnce(first, list);
      return last;
    });
    const details = await fc.check(property, {
      seed: context.seed,
      numRuns: context.scale(50, 500),
      interruptAfterTimeLimit: context.scale(75_000, 720_000),
      markInterruptAsFailure: true,
    });
    // A run that took too long was not waited for.
    await last.catch(() => {});
    await server.terminate();

    const violations: Violation[] = details.failed ? [violationOf(details)] : [];
    for (const { rule, problems } of checkStore(server.dataFile))
      for (const problem of problems)
        violations.push({ rule: "I3", text: `not true that ${rule}: ${problem}` });
    violations.push(...checkLog({ log: server.log, exits: server.exits, bodyMarker }));
    return {
      rounds: details.numRuns,
      violations,
      figure: `${details.numRuns} runs, ${seen.commands} commands, ${seen.crashes} crashes; ${
        details.failed
          ? `differs after ${namesOf(details.counterexample ?? []).length} commands`
          : "no difference"
      }`,
    };
  },
};

/** Says what differs, after which commands, and how to see it again. */
function violationOf({
  counterexample,
  errorInstance,
  seed,
  counterexamplePath,
  numRuns,
  numShrinks,
}: fc.RunDetails<[ChatCommand, Iterable<ChatCommand>]>): Violation {
  const rule = errorInstance instanceof Mismatch ? errorInstance.rule : "run";
  const cause =
    errorInstance instanceof Error
      ? errorInstance instanceof Mismatch
        ? errorInstance.message
        : errorInstance.stack
      : "not done in time";
  const names = namesOf(counterexample ?? []);
  return {
    rule,
    text: [
      // Without what makes the ids of a run its own.
      `${cause}`.replaceAll(/\br\d+-/g, ""),
      `after (seed ${seed}, path ${counterexamplePath}, run ${numRuns}, shrunk ${numShrinks} times; --seed ${seed} repeats it):`,
      ...names.map((name, i) => `  ${i + 1}. ${name}`),
    ].join("\n"),
  };
}

/** The commands that were carried out. */
function namesOf([first, list = []]: [] | [ChatCommand, Iterable<ChatCommand>]): string[] {
  const done = [...list].filter((each) => (each as ChatCommand & { hasRan?: boolean }).hasRan);
  return (first === undefined ? done : [first, ...done]).map(String);
}

/** The test of the whole against a model. */
export const modelFaults: readonly Fault[] = [model];
