import { ArtifactView } from '@/features/executions/components/inspector/artifact-view'
import { TablePreview } from '@/features/executions/components/inspector/table-preview'
import { nearestTable } from '@/features/executions/model/inputs'
import type { Schemas } from '@/lib/api'
import { formatCount } from '@/lib/format'

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
      {source && row !== null && (
        <section aria-label="Input at the failing row" className="border-b border-border-soft">
          <h3 className="px-4 pt-2.5 pb-1 font-semibold">
            Input at the failing row{' '}
            <span className="text-small font-normal text-muted-foreground">
              {source.rows !== null && `of ${formatCount(source.rows)} `}from{' '}
              {names.get(source.stage) ?? source.stage}
            </span>
          </h3>
          <TablePreview
            key={row}
            artifact={source}
            mark={{ row, column: run.error?.location?.column ?? null }}
          />
        </section>
      )}
      {given
        .filter((artifact) => artifact.id !== source?.id)
        .map((artifact) => (
          <ArtifactView key={artifact.id} artifact={artifact} />
        ))}
    </>
  )
}
