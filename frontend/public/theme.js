// Runs before the first paint so that a dark page never flashes white. Keep in step with src/store/theme.ts.
{
  let chosen = 'system'
  try {
    chosen = localStorage.getItem('flexiroaster.theme') ?? 'system'
  } catch {
    // Storage may be forbidden; the system's choice is then a good answer.
  }
  const dark =
    chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.classList.toggle('dark', dark)
}
