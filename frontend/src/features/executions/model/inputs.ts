import type { Schemas } from '@/lib/api'

type StageRun = Schemas['StageRunBody']
type Artifact = Schemas['ArtifactBody']

/** The table a stage read `row` from: the nearest one upstream that is long enough to have it. */
export function nearestTable(
  stages: readonly StageRun[],
  run: StageRun,
  row: number,
): Artifact | null {
  const seen = new Set<string>()
  let layer = run.needs
  while (layer.length > 0) {
    const runs = stages.filter((other) => layer.includes(other.stage) && !seen.has(other.stage))
    for (const stage of layer) seen.add(stage)
    for (const { artifacts } of runs) {
      const table = artifacts.find(({ kind, rows }) => kind === 'table' && (rows ?? 0) >= row)
      if (table) return table
    }
    layer = runs.flatMap((other) => other.needs)
  }
  return null
}
