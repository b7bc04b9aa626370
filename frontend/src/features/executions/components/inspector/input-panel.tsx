import { ArtifactView } from '@/features/executions/components/inspector/artifact-view'
import { FailingRow } from '@/features/executions/components/inspector/failing-row'
import { nearestTable } from '@/features/executions/model/inputs'
import type { Schemas } from '@/lib/api'

type StageRun = Schemas['StageRunBody']

type InputPanelProps = {
  stages: StageRun[]
  run: StageRun
  names: Map<string, string>
  /** The failing row, counted from 1. */
  row: number | null
}

/** What the stage was given by the stages it needs; at the failing row, when there is one. */
export function InputPanel({ stages, run, names, row }: InputPanelProps) {
  const source = row === null ? null : nearestTable(stages, run, row)
  const given = stages
    .filter((other) => run.needs.includes(other.stage))
    .flatMap((other) => other.artifacts)
    .filter((artifact) => artifact.kind !== 'quarantine')
  if (!source && given.length === 0) {
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
      {source && row !== null && <FailingRow stages={stages} run={run} row={row} />}
      {given
        .filter((artifact) => artifact.id !== source?.id)
        .map((artifact) => (
          <ArtifactView key={artifact.id} artifact={artifact} />
        ))}
    </>
  )
}
