import { TablePreview } from '@/features/executions/components/inspector/table-preview'
import { nearestTable } from '@/features/executions/model/inputs'
import type { Schemas } from '@/lib/api'
import { formatCount } from '@/lib/format'

type StageRun = Schemas['StageRunBody']

type FailingRowProps = {
  executionId: string
  stages: StageRun[]
  run: StageRun
  /** Counted from 1. */
  row: number
}

/** The rows around the one that made the stage fail, from the table it was given. */
export function FailingRow({ executionId, stages, run, row }: FailingRowProps) {
  const source = nearestTable(stages, run, row)
  if (!source) return null
  return (
    <section
      aria-label="Input at the failing row"
      className="border-y border-border-soft first:border-t-0 last:border-b-0"
    >
      <h3 className="px-4 pt-2.5 pb-1 font-semibold">
        Input at the failing row{' '}
        <span className="text-small font-normal text-muted-foreground">
          {source.rows !== null && `of ${formatCount(source.rows)} `}from {source.name}
        </span>
      </h3>
      <TablePreview
        key={row}
        source={{ executionId, stage: source.stage, index: source.index }}
        name={source.name}
        mark={{ row, column: run.error?.location?.column ?? null }}
      />
    </section>
  )
}
