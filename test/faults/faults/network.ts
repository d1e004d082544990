import type { Fault } from "../fault.ts";
import { cutAnywhere } from "./network-cut.ts";
import { cablePull, killClient, oneWay } from "./network-gone.ts";
import { addressChange, nginxInFront } from "./network-paths.ts";
import { idleForgotten, latency, packetLoss, resets, slowLink } from "./network-poor.ts";
import { reconnectStorm } from "./reconnect-storm.ts";

/** Faults of network. */
export const networkFaults: readonly Fault[] = [
  latency,
  slowLink,
  cablePull,
  oneWay,
  killClient,
  resets,
  packetLoss,
  idleForgotten,
  nginxInFront,
  reconnectStorm,
  addressChange,
  cutAnywhere,
];
