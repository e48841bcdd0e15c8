import { Easel } from "./easel.js";

document.querySelectorAll(".easel").forEach((section) => new Easel(section));
