// What the end of a transport means: close codes as failures of the protocol.

/** @import {Ending, Failure} from "./types.d.ts" */

const names = new Map([
  [4300, "token_expired"], [4400, "bad_frame"], [4401, "unauthorized"], [4403, "revoked"],
  [4406, "unsupported_version"], [4409, "replaced"],
]);

/**
 * @param {Ending} ending
 * @returns {Failure}
 */
export function failureOf({ code, reason, delay }) {
  const retry = retryAfter(code);
  const name = retry === "later" ? "connection_lost" : (names.get(code) ?? `closed_${code}`);
  return { code: name, retry, message: reason || `close code ${code}`, delay };
}

/**
 * @param {number} code
 * @returns {Failure["retry"]}
 */
function retryAfter(code) {
  if (code >= 4300 && code <= 4399) return "refresh";
  if (code >= 4400 && code <= 4499) return "never";
  return [1002, 1003, 1007, 1009].includes(code) ? "never" : "later";
}
