/**
 * `node --import hindcast/register main.js`: patches what modules take references to before any module of the program
 * is there, and captures modules that make ids from a pool or a counter. All of it is dormant until an instance wants it.
 */
import { installDormant } from "../ambient/ambient.js";
import { installIdHooks } from "./id-hooks.js";

installDormant();
installIdHooks();
