// Runs before the first paint, so that a chosen theme does not flash the other one.
// A file of its own and not inline, so that a strict content security policy holds.
try {
  const theme = localStorage.getItem('agentsight.theme');
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be blocked: then the system's theme it is.
}
