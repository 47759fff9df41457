/**
 * What the model of the demo says: two turns, each with tool calls. The reply is
 * chosen by the conversation alone (which turn, and how far it is), so that the
 * server keeps no state.
 */
export const USER_MESSAGES = [
  'The README of this project has a spelling mistake. Find it and correct it.',
  'Which release date do our notes give? Add it as the last line of todo.md.',
];

const TURNS = [
  [
    () => [
      text('I will look at the project first, then correct the word.'),
      tool('Bash', { command: 'ls -la && wc -l *.md && grep -n recieve README.md', description: 'List the project, find the misspelt word' }),
      tool('Edit', { file_path: 'README.md', old_string: 'recieve', new_string: 'receive' }),
    ],
    () => [text('I corrected “recieve” to “receive” in README.md; the rest of the text reads well.')],
  ],
  [
    () => [text('I will ask the notes server for the date.'), tool('mcp__notes__search', { query: 'release' })],
    (results) => {
      const date = /\d{4}-\d{2}-\d{2}/.exec(results)?.[0] ?? 'a day that the notes do not name';
      return [
        text(`The notes give ${date}. I add it.`),
        tool('Bash', { command: `echo "- release on ${date}" >> todo.md && tail -n 1 todo.md`, description: 'Append the date' }),
      ];
    },
    () => [text('Done: todo.md now ends with the release date from the notes.')],
  ],
];

/** @returns the content blocks of the model's next message */
export function nextReply(messages) {
  const questions = messages.filter(isQuestion).length;
  const answered = messages.slice(messages.findLastIndex(isQuestion)).filter((message) => message.role === 'assistant').length;
  const results = resultsOf(messages.at(-1));
  const failed = results.find((result) => result.is_error);
  if (failed !== undefined) return [text(`A tool failed, so I stop here: ${failed.content}`)];
  const reply = TURNS[questions - 1]?.[answered];
  if (reply === undefined) return [text('I have nothing to add.')];
  return reply(results.map((result) => String(result.content)).join('\n'));
}

/** A user's own words, as against tool results, which travel as the user's too. */
function isQuestion(message) {
  return message.role === 'user' && typeof message.content === 'string';
}

function resultsOf(message) {
  return Array.isArray(message?.content) ? message.content.filter((block) => block.type === 'tool_result') : [];
}

function text(value) {
  return { type: 'text', text: value };
}

function tool(name, input) {
  return { type: 'tool_use', name, input };
}
