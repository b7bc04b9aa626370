import { TablePreview } from '@/features/executions/components/inspector/table-preview'
import { hasTable } from '@/features/executions/model/inputs'
import type { Schemas } from '@/lib/api'
import { plural } from '@/lib/format'

type StageTableProps = { executionId: string; run: Schemas['StageRunBody'] }

/**
 * The table that a stage handed on, where no artifact shows it: the file of an input stage, one it has written, or
 * what is left of a table without the rows that were refused.
 */
export function StageTable({ executionId, run }: StageTableProps) {
  if (!isElsewhere(run)) return null
  return (
    <section
      aria-label={`Table of ${run.name}`}
      className="border-b border-border-soft last:border-b-0"
    >
      <h3 className="px-4 py-2 font-semibold">
        <span className="mono">{run.name}</span>{' '}
        <span className="text-small font-normal text-muted-foreground">
          {plural(run.rows ?? 0, 'row')}
        </span>
      </h3>
      <TablePreview source={{ executionId, stage: run.stage, index: run.index }} name={run.name} />
    </section>
  )
}

/** Whether none of its artifacts is the very table it handed on. */
export function isElsewhere(run: Schemas['StageRunBody']): boolean {
  return (
    hasTable(run) && !run.artifacts.some(({ kind, rows }) => kind === 'table' && rows === run.rows)
  )
}
