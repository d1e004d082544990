import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from "node:child_process";
import { networkInterfaces } from "node:os";
import { missingCommand, missingRoot } from "./needs.ts";

/** A host of its own, by a network namespace, with one cable to this machine. */
export interface Host {
  /** The host's address: what a server in it listens on. */
  readonly address: string;
  /** This machine's address at the other end of the cable. */
  readonly hostAddress: string;
  /** What to put before a command to run it in the host. It becomes the command, with the same process id. */
  readonly wrapper: readonly string[];
  /** Runs a command in the host. It is killed when the host is closed. */
  run(command: string, args?: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Pulls the cable: nothing comes through, and nobody is told. */
  pullCable(): void;
  /** Plugs the cable in again. */
  plugCable(): void;
  /** Loses so many packets in a hundred, at random, in both directions. Needs nft. */
  loss(percent: number): void;
  /** Takes the host away and kills what `run` started. */
  close(): void;
}

/** Returns the reason why there can be no host here, or no loss with `nft`, if there is one. */
export function missingNetwork(feature: "host" | "nft" = "host"): string | undefined {
  if (process.platform !== "linux") return "network namespaces are for Linux";
  return missingRoot() ?? missingCommand("ip") ?? (feature === "nft" ? missingCommand("nft") : undefined);
}

/** The address of no network card. */
const nobody = "02:00:00:00:00:01";

let hosts = 0;

/** Makes a host. It is also taken away when this process exits. */
export function createHost(name: string): Host {
  const unique = `${process.pid.toString(36)}-${hosts++}`;
  const namespace = `parlance-${name}-${unique}`;
  // At most 15 characters, as the system wants.
  const [ours, theirs] = [`plo${unique}`, `plt${unique}`];
  const network = freeNetwork();
  const [hostAddress, address] = [`${network}.1`, `${network}.2`];
  const wrapper = ["ip", "netns", "exec", namespace];
  const inside = (...command: string[]) => run(...wrapper, ...command);
  const children = new Set<ChildProcess>();
  let closed = false;

  const close = () => {
    if (closed) return;
    closed = true;
    process.off("exit", close);
    for (const child of children) child.kill("SIGKILL");
    // The cable first: the namespace stays as long as a process is in it.
    for (const command of [
      ["ip", "link", "delete", ours],
      ["ip", "netns", "delete", namespace],
    ]) {
      try {
        run(...command);
      } catch {
        // It was never made.
      }
    }
  };
  process.once("exit", close);
  try {
    run("ip", "netns", "add", namespace);
    run("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", namespace);
    run("ip", "address", "add", `${hostAddress}/30`, "dev", ours);
    run("ip", "link", "set", ours, "up");
    inside("ip", "address", "add", `${address}/30`, "dev", theirs);
    inside("ip", "link", "set", "lo", "up");
    inside("ip", "link", "set", theirs, "up");
  } catch (error) {
    close();
    throw error;
  }

  return {
    address,
    hostAddress,
    wrapper,
    run(command, args = [], options = {}) {
      const child = spawn("ip", [...wrapper.slice(1), command, ...args], options);
      children.add(child);
      child.once("exit", () => children.delete(child));
      return child;
    },
    // Somewhere between two switches: to each end the other's card is one that nobody has. An end that is down would
    // know at once, and TCP does not count probes that did not leave.
    pullCable() {
      run("ip", "neighbor", "replace", address, "lladdr", nobody, "dev", ours, "nud", "permanent");
      inside("ip", "neighbor", "replace", hostAddress, "lladdr", nobody, "dev", theirs, "nud", "permanent");
    },
    plugCable() {
      run("ip", "neighbor", "delete", address, "dev", ours);
      inside("ip", "neighbor", "delete", hostAddress, "dev", theirs);
    },
    loss(percent) {
      inside("nft", lossRules(percent));
    },
    close,
  };
}

/** Rules that replace those of an earlier loss. */
function lossRules(percent: number): string {
  const share = Math.round(percent * 100);
  const some = share < 10_000 ? `numgen random mod 10000 < ${share}` : "";
  const drop = share > 0 ? `${some} drop;` : "";
  const chain = (hook: string) => `chain ${hook} { type filter hook ${hook} priority 0; ${drop} };`;
  return `table ip loss; delete table ip loss; table ip loss { ${chain("input")} ${chain("output")} };`;
}

/** Finds the first three numbers of private addresses that no interface of this machine has. */
function freeNetwork(): string {
  const taken = Object.values(networkInterfaces()).flatMap(
    (addresses) => addresses?.map((a) => a.address) ?? [],
  );
  for (let attempt = process.pid; ; attempt += 7_919) {
    const network = `10.${64 + ((attempt >> 8) % 128)}.${attempt % 256}`;
    if (!taken.some((address) => address.startsWith(`${network}.`))) return network;
  }
}

function run(...[command = "", ...args]: string[]): void {
  execFileSync(command, args, { stdio: "pipe" });
}
