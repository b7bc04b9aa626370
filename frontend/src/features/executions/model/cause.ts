import { layersOf } from '@/components/stage-graph/layout'
import type { Schemas } from '@/lib/api'
import { isFailure } from '@/lib/status'

type StageRun = Schemas['StageRunBody']
type StageError = Schemas['StageErrorBody']

/** In the order in which they follow each other. */
const PHASES: StageRun['phase'][] = ['main', 'compensation', 'on_failure', 'on_success', 'finally']

/**
 * The failure the others follow from: of the failed stage runs the one that needs least, then the one that failed
 * first. What follows the stages is no cause of their failure. Null while nothing has failed.
 */
export function rootCause(stages: readonly StageRun[]): StageRun | null {
  return failures(stages)[0] ?? null
}

/** The root cause first. */
export function failures(stages: readonly StageRun[]): StageRun[] {
  const failed = stages.filter((run) => isFailure(run.status))
  if (failed.length < 2) return failed
  const layers = layersOf(uniqueStages(stages))
  const phase = (run: StageRun) => PHASES.indexOf(run.phase)
  const rank = (run: StageRun) => layers.get(run.stage) ?? 0
  return failed.toSorted(
    (a, b) =>
      phase(a) - phase(b) ||
      rank(a) - rank(b) ||
      (a.ended_at ?? '').localeCompare(b.ended_at ?? ''),
  )
}

/** The failure after this stage run, the first one again after the last; null where nothing has failed. */
export function nextFailure(
  stages: readonly StageRun[],
  current: StageRun | null,
): StageRun | null {
  const all = failures(stages)
  const at = all.findIndex(
    ({ stage, index }) => stage === current?.stage && index === current.index,
  )
  return all[(at + 1) % all.length] ?? null
}

/** One node per stage: a foreach has many runs but one place in the graph. */
export function uniqueStages(stages: readonly StageRun[]): { id: string; needs: string[] }[] {
  const byId = new Map(stages.map((run) => [run.stage, { id: run.stage, needs: run.needs }]))
  return [...byId.values()]
}

/** What happened to the stage, without its details; those are in the error's own message. */
export function headline(error: StageError, started = true): string {
  switch (error.kind) {
    case 'timeout':
      return started ? 'took longer than its timeout allows' : 'did not start in time'
    case 'data':
      return error.location?.row ? 'got a row it cannot use' : 'got data it cannot use'
    case 'transient':
      return error.code.startsWith('http_') ? 'could not reach something it needs' : 'failed'
    case 'lost':
      return 'lost its worker'
    case 'cancelled':
      return 'was cancelled'
    case 'internal':
      return 'failed through a fault of FlexiRoaster itself'
    default:
      return 'failed'
  }
}

/** Everything a colleague needs to look at it elsewhere. */
export function errorAsText(title: string, stage: string, error: StageError): string {
  const { file, line, row, column, value } = error.location ?? {}
  const where = [
    file && `file ${file}`,
    line && `line ${line}`,
    row && `row ${row}`,
    column && `column ${column}`,
    value !== undefined && value !== null && `value ${value}`,
  ].filter(Boolean)
  return [
    `${title}, stage ${stage}`,
    error.message,
    where.length > 0 && where.join(', '),
    error.suggestion,
    error.traceback,
  ]
    .filter(Boolean)
    .join('\n')
}
