import { DeviceModel } from "./device-model.ts";
import { LogModel } from "./model.ts";
import type { Send, Target } from "./operations.ts";

const userNames = ["alice", "bob", "carol"];
const groupNames = ["team", "club"];
const deviceNames = ["phone", "laptop"];

/** How many there are of each; commands name them by number. */
export const counts = { users: userNames.length, groups: groupNames.length, devices: deviceNames.length };

/** Where a message goes, by numbers: to the user so many places further on, or to a group. */
export type Where = { further: number } | { group: number };

/** The model side of one run: users and groups with ids of their own, their devices, and the log. */
export class ChatModel {
  readonly log = new LogModel();
  readonly devices: DeviceModel[];
  readonly userIds: readonly string[];
  readonly groupIds: readonly string[];
  /** A user who writes to everybody in the end. */
  readonly fenceId: string;
  /** Every message anybody tried to send, in order. */
  readonly attempts: Send[] = [];
  crashes = 0;
  /** Lets a command be left out when it would cost too much. */
  readonly maxCrashes: number;
  readonly #prefix: string;
  readonly #marker: string;

  /**
   * @param prefix makes the ids of this run its own
   * @param marker a part of every body
   */
  constructor(prefix: string, marker: string, maxCrashes: number) {
    this.#prefix = prefix;
    this.#marker = marker;
    this.maxCrashes = maxCrashes;
    this.userIds = userNames.map((name) => prefix + name);
    this.groupIds = groupNames.map((name) => prefix + name);
    this.fenceId = `${prefix}fence`;
    this.devices = this.userIds.flatMap((userId) => deviceNames.map((name) => new DeviceModel(userId, name)));
  }

  user(n: number): string {
    return this.userIds[n] as string;
  }

  group(n: number): string {
    return this.groupIds[n] as string;
  }

  device(user: number, device: number): DeviceModel {
    return this.devices[user * counts.devices + device] as DeviceModel;
  }

  target(by: number, where: Where): Target {
    if ("group" in where) return { groupId: this.group(where.group) };
    return { recipientId: this.user((by + where.further) % counts.users) };
  }

  /** Makes a message that nobody sent before. */
  newSend(by: string, to: Target, fill = 0): Send {
    const name = `m${this.attempts.length + 1}`;
    const body = `${name} ${this.#marker}`.padEnd(fill, " x");
    const send: Send = { do: "send", by, to, clientMessageId: this.#prefix + name, body };
    this.attempts.push(send);
    return send;
  }

  /** Notes that the server was killed. */
  crashed(): void {
    this.crashes++;
    for (const device of this.devices) device.crashed();
  }
}

/** Names a user in a command. */
export function userName(n: number): string {
  return userNames[n] as string;
}

/** Names a group in a command. */
export function groupName(n: number): string {
  return groupNames[n] as string;
}

/** Names a user's device in a command. */
export function deviceName(user: number, device: number): string {
  return `${userName(user)}'s ${deviceNames[device]}`;
}

/** Names whom a message goes to, in a command. */
export function whereName(by: number, where: Where): string {
  return "group" in where ? groupName(where.group) : userName((by + where.further) % counts.users);
}
