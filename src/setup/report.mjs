// @ts-check
/** What a tier's report of vitest (`--reporter=json`) comes to. */
import { relative } from 'node:path';
import { ROOT } from './shell.mjs';

/** @typedef {{ passed: number, failed: number, skipped: number }} Count */

/**
 * @typedef {object} Result of one test
 * @property {string} status
 * @property {string} fullName
 * @property {readonly string[]} failureMessages of every try, the first one first
 */

/**
 * @typedef {object} Report
 * @property {number} numPassedTests
 * @property {number} numFailedTests
 * @property {number} numPendingTests
 * @property {number} numTodoTests
 * @property {readonly { name: string, status: string, message?: string, assertionResults: readonly Result[] }[]} testResults by file
 */

/** Of one failure: the message and where it was thrown; the whole stands where the tier ran. */
const MESSAGE_LINES = 12;

/** @param {Count} count */
export function verdict({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/**
 * A tier without a report, a file that did not load and an error outside of
 * any test are failures too, though no test of theirs failed.
 *
 * @param {Report | undefined} report
 * @param {number | string} end of vitest
 * @returns {Count}
 */
export function countOf(report, end) {
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const failed = report.numFailedTests + report.testResults.filter(isUnloaded).length;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && end !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/**
 * Every failure by name, and every test that passed only at its second try.
 *
 * @param {string} tier
 * @param {Report | undefined} report
 * @param {number | string} end of vitest
 * @returns {readonly string[]}
 */
export function troubleOf(tier, report, end) {
  const failures = report?.testResults.flatMap((file) => [
    ...isUnloaded(file) ? [tell('✗', tier, file.name, 'did not load', [file.message ?? ''])] : [],
    ...file.assertionResults.filter(({ status }) => status === 'failed').map((test) => tell('✗', tier, file.name, test.fullName, test.failureMessages)),
  ]) ?? [];
  const unstable = report?.testResults.flatMap((file) => file.assertionResults
    .filter(({ status, failureMessages }) => status === 'passed' && failureMessages.length > 0)
    .map((test) => tell('! failed, then passed:', tier, file.name, test.fullName, test.failureMessages))) ?? [];
  const unnamed = failures.length === 0 && end !== 0 ? [`✗ ${tier}: no test failed, but vitest ended with ${end}`] : [];
  return [...failures, ...unnamed, ...unstable];
}

/** @param {Report['testResults'][number]} file */
function isUnloaded({ status, assertionResults }) {
  return status === 'failed' && !assertionResults.some((result) => result.status === 'failed');
}

/**
 * @param {string} mark
 * @param {string} tier
 * @param {string} file
 * @param {string} test
 * @param {readonly string[]} messages
 */
function tell(mark, tier, file, test, messages) {
  const lines = (messages[0] ?? '').split('\n').filter((line) => !line.includes('/node_modules/')).slice(0, MESSAGE_LINES).map((line) => `    ${line}\n`);
  return `${mark} ${tier}: ${relative(ROOT, file)}: ${test}\n${lines.join('')}`.trimEnd();
}
