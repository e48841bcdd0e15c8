/**
 * Sends the newest of what is asked, never more than one at a time.
 * What is asked while an answer is awaited replaces what waits; so answers come in order and none is overtaken.
 */
export class Newest {
  #wanted = null;
  #busy = false;

  /**
   * @param send job -> promise of an answer
   * @param show (answer, job, last): last says that nothing newer waits
   * @param fail (error, job)
   */
  constructor(send, show, fail) {
    Object.assign(this, { send, show, fail });
  }

  ask(job) {
    this.#wanted = job;
    if (!this.#busy) this.#run();
  }

  async #run() {
    this.#busy = true;
    while (this.#wanted) {
      const job = this.#wanted;
      this.#wanted = null;
      try {
        const answer = await this.send(job);
        this.show(answer, job, !this.#wanted);
      } catch (error) {
        if (error.busy && !this.#wanted) {
          await new Promise((done) => setTimeout(done, 300));
          this.#wanted ??= job;
        } else if (!error.busy) this.fail(error, job);
      }
    }
    this.#busy = false;
  }
}

/** Ask the server; an answer that refuses becomes an Error with the server's own line. */
export async function ask(path, body) {
  const options = { signal: AbortSignal.timeout(60000) };
  if (body !== undefined) {
    Object.assign(options, { method: "POST", body, headers: { "content-type": "application/octet-stream" } });
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer; is pix2pipe demo still running?");
  }
  if (answer.ok) return answer.json();
  const said = await answer.json().catch(() => ({}));
  const error = new Error(typeof said.detail === "string" ? said.detail : `The server answered ${answer.status}.`);
  error.busy = answer.status === 503;
  throw error;
}

/** Bytes of base64 text. */
export function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
