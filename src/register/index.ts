/**
 * `node --import hindcast/register main.js`: patches what modules take references to before any module of the program
 * is there. The patches are dormant until an instance wants them.
 */
import { installDormant } from "../ambient/ambient.js";

installDormant();
