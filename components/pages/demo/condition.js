/** What the choices of a page ask for: the place of the class that is chosen, 0 or 1 of each attribute, or "0" of none. */
export function asked(inputs) {
  if (inputs.some(({ type }) => type === "checkbox")) return inputs.map(({ checked }) => (checked ? "1" : "0")).join("");
  return inputs.find(({ checked }) => checked)?.value ?? "0";
}

/** The same as people read it. */
export function named(inputs) {
  const chosen = inputs.filter(({ checked }) => checked).map((input) => input.parentElement.textContent.trim());
  return chosen.join(", ") || "none";
}
