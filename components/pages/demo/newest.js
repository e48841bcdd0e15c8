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

/**
 * Ask the server; an answer that refuses becomes an Error with the server's own line.
 * @param sent called with the share of the body that is sent, from 0 to 1
 */
export async function ask(path, body, sent) {
  const { status, text } = await exchange(path, body, sent);
  if (status === 200) return JSON.parse(text);
  const error = new Error(detail(text) ?? `The server answered ${status}.`);
  error.busy = status === 503;
  throw error;
}

/** A request and its answer. Not by fetch, which cannot tell how much of a body is sent. */
function exchange(path, body, sent) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open(body === undefined ? "GET" : "POST", path);
    request.timeout = 60000;
    if (body !== undefined) request.setRequestHeader("content-type", "application/octet-stream");
    if (sent) {
      sent(0);
      request.upload.onprogress = ({ loaded, total }) => sent(loaded / total);
      request.upload.onload = () => sent(1);
    }
    request.onload = () => done({ status: request.status, text: request.responseText });
    request.onerror = request.ontimeout = () =>
      fail(new Error("The server does not answer; is pix2pipe demo still running?"));
    request.send(body);
  });
}

/** The server's own line in an answer that refuses, undefined where there is none. */
function detail(text) {
  try {
    const said = JSON.parse(text).detail;
    return typeof said === "string" ? said : undefined;
  } catch {
    return undefined;
  }
}

/** Bytes of base64 text. */
export function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
