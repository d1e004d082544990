import { createLocalBus } from "../../src/bus/local.ts";
import { busContract } from "../contracts/bus.ts";

busContract("the local bus", async (count) => Array.from({ length: count }, createLocalBus));
