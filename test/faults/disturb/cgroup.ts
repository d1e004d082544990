import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** A control group with one process, to take the processor away from it. */
export interface Cgroup {
  /** Gives it at most so many hundredths of one processor, or as much as it wants. */
  limitCpu(percent: number | undefined): void;
  /** How often the limit has stopped it. */
  throttled(): number;
  /** Stops it from running, soon and without its knowledge; unlike SIGSTOP, nobody can see it. */
  freeze(): void;
  /** Lets it go on. */
  thaw(): void;
  /** Lets the process go on without a limit, if it is still there. */
  close(): void;
}

/** The files of a group. Version 1 has a tree for each purpose, version 2 one for all. */
interface Layout {
  /** The group within which ours are made, for each purpose. */
  cpu: string;
  freezer: string;
  quota: (percent: number | undefined) => { file: string; value: string };
  frozen: (frozen: boolean) => { file: string; value: string };
}

const root = "/sys/fs/cgroup";
const periodMicros = 100_000;

/** Returns the reason why there can be no control group here, if there is one. */
export function missingCgroup(): string | undefined {
  return findLayout() === undefined ? "no control group for processor and freezer can be made" : undefined;
}

let groups = 0;

/** Puts a process into a group of its own. It is also let go when this process exits. */
export function createCgroup(pid: number): Cgroup {
  const layout = findLayout();
  if (layout === undefined) throw new Error(missingCgroup());
  const name = `parlance-${process.pid}-${groups++}`;
  const parents = [...new Set([layout.cpu, layout.freezer])];
  const cpu = join(layout.cpu, name);
  const freezer = join(layout.freezer, name);
  const set = (folder: string, { file, value }: { file: string; value: string }) =>
    writeFileSync(join(folder, file), value);

  for (const parent of parents) {
    mkdirSync(join(parent, name));
    set(join(parent, name), { file: "cgroup.procs", value: `${pid}` });
  }
  let closed = false;
  const close = () => {
    if (closed) return;
    closed = true;
    process.off("exit", close);
    set(freezer, layout.frozen(false));
    for (const parent of parents) empty(join(parent, name), parent);
  };
  process.once("exit", close);

  return {
    limitCpu: (percent) => set(cpu, layout.quota(percent)),
    throttled: () => Number(/^nr_throttled (\d+)$/m.exec(readFileSync(join(cpu, "cpu.stat"), "utf8"))?.[1]),
    freeze: () => set(freezer, layout.frozen(true)),
    thaw: () => set(freezer, layout.frozen(false)),
    close,
  };
}

/** Moves all processes of a group to another, and removes it. */
function empty(group: string, other: string): void {
  for (const pid of readFileSync(join(group, "cgroup.procs"), "utf8").split("\n").filter(Boolean)) {
    try {
      writeFileSync(join(other, "cgroup.procs"), pid);
    } catch (error) {
      // It has just ended.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
  rmdirSync(group);
}

function findLayout(): Layout | undefined {
  const layout = existsSync(join(root, "cgroup.controllers")) ? version2() : version1();
  return layout !== undefined && canWrite(layout.cpu) && canWrite(layout.freezer) ? layout : undefined;
}

/** Groups are made within our own, whose limits go on to hold. */
function version1(): Layout | undefined {
  if (!existsSync("/proc/self/cgroup")) return undefined;
  const own = readFileSync("/proc/self/cgroup", "utf8").split("\n");
  const groupOf = (purpose: string) => {
    const fields = own
      .map((line) => line.split(":"))
      .find(([, names]) => names?.split(",").includes(purpose));
    return fields === undefined ? "" : join(root, purpose, fields.slice(2).join(":"));
  };
  return {
    cpu: groupOf("cpu"),
    freezer: groupOf("freezer"),
    quota: (percent) => ({
      file: "cpu.cfs_quota_us",
      value: `${percent === undefined ? -1 : (percent * periodMicros) / 100}`,
    }),
    frozen: (frozen) => ({ file: "freezer.state", value: frozen ? "FROZEN" : "THAWED" }),
  };
}

/** Groups are made at the top: a group with processes can have none within. */
function version2(): Layout | undefined {
  const passedOn = readFileSync(join(root, "cgroup.subtree_control"), "utf8").trim().split(" ");
  if (!passedOn.includes("cpu")) return undefined;
  return {
    cpu: root,
    freezer: root,
    quota: (percent) => ({
      file: "cpu.max",
      value: `${percent === undefined ? "max" : (percent * periodMicros) / 100} ${periodMicros}`,
    }),
    frozen: (frozen) => ({ file: "cgroup.freeze", value: frozen ? "1" : "0" }),
  };
}

function canWrite(folder: string): boolean {
  try {
    accessSync(join(folder, "cgroup.procs"), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
