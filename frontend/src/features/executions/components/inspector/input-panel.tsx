import { ArtifactView } from '@/features/executions/components/inspector/artifact-view'
import { FailingRow } from '@/features/executions/components/inspector/failing-row'
import { isElsewhere, StageTable } from '@/features/executions/components/inspector/stage-table'
import { nearestTable } from '@/features/executions/model/inputs'
import type { Schemas } from '@/lib/api'

type StageRun = Schemas['StageRunBody']

type InputPanelProps = {
  executionId: string
  stages: StageRun[]
  run: StageRun
  names: Map<string, string>
  /** The failing row, counted from 1. */
  row: number | null
}

/** What the stage was given by the stages it needs; at the failing row, when there is one. */
export function InputPanel({ executionId, stages, run, names, row }: InputPanelProps) {
  const source = row === null ? null : nearestTable(stages, run, row)
  const needed = stages.filter((other) => run.needs.includes(other.stage))
  const given = needed
    .flatMap((other) => other.artifacts)
    .filter((artifact) => artifact.kind !== 'quarantine')
  const elsewhere = needed.filter((other) => other !== source && isElsewhere(other))
  const shownElsewhere = new Set([source, ...elsewhere].map((other) => other?.stage))
  if (!source && given.length === 0 && elsewhere.length === 0) {
    return (
      <p className="p-4 text-muted-foreground">
        {run.needs.length === 0
          ? 'This stage needs no other stage.'
          : `No table came from ${run.needs.map((need) => names.get(need) ?? need).join(', ')}.`}
      </p>
    )
  }
  return (
    <>
      {source && row !== null && (
        <FailingRow executionId={executionId} stages={stages} run={run} row={row} />
      )}
      {elsewhere.map((other) => (
        <StageTable key={`${other.stage} ${other.index}`} executionId={executionId} run={other} />
      ))}
      {given
        .filter((artifact) => !(artifact.kind === 'table' && shownElsewhere.has(artifact.stage)))
        .map((artifact) => (
          <ArtifactView key={artifact.id} artifact={artifact} />
        ))}
    </>
  )
}
