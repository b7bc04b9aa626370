import type { Schemas } from '@/lib/api'

type StageRun = Schemas['StageRunBody']

/** The stage whose table `run` read `row` from: the nearest one upstream that handed on enough rows to have it. */
export function nearestTable(
  stages: readonly StageRun[],
  run: StageRun,
  row: number,
): StageRun | null {
  const seen = new Set<string>()
  let layer = run.needs
  while (layer.length > 0) {
    const runs = stages.filter((other) => layer.includes(other.stage) && !seen.has(other.stage))
    for (const stage of layer) seen.add(stage)
    const found = runs.find((other) => hasTable(other) && (other.rows ?? 0) >= row)
    if (found) return found
    layer = runs.flatMap((other) => other.needs)
  }
  return null
}

/** Whether its result holds a table; the rows of a foreach stage are those of its items together. */
export function hasTable(run: StageRun): boolean {
  return run.status === 'success' && run.rows !== null && !run.items
}
