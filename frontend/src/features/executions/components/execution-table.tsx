import { Link } from 'react-router'
import { StateBadge } from '@/components/state-badge'
import { Table, Td, Th, Tr } from '@/components/ui/table'
import { startedBy } from '@/features/executions/model/started-by'
import type { Schemas } from '@/lib/api'
import { formatAgo, formatDuration, formatMoment, plural } from '@/lib/format'

/** Which rows are ticked; `toggle` with what to tick or not. */
export type RowSelection = {
  ids: ReadonlySet<string>
  toggle: (ids: readonly string[], ticked: boolean) => void
}

type ExecutionTableProps = {
  executions: Schemas['ExecutionSummary'][]
  now: number
  /** Left out on a pipeline's own page. */
  showPipeline?: boolean
  /** Left out where nothing can be done with many. */
  selection?: RowSelection | undefined
}

/** Newest first; a failed one says why in its row. */
export function ExecutionTable({
  executions,
  now,
  showPipeline = true,
  selection,
}: ExecutionTableProps) {
  const all = executions.map(({ id }) => id)
  const ticked = selection ? all.filter((id) => selection.ids.has(id)).length : 0
  return (
    <Table>
      <thead>
        <tr>
          {selection && (
            <Th className="w-px py-0 pr-0 pl-3 max-tablet:pr-0 max-tablet:pl-2">
              <Tick
                label="Select all that are shown"
                checked={ticked === all.length ? true : ticked > 0 ? 'some' : false}
                onChange={(checked) => selection.toggle(all, checked)}
              />
            </Th>
          )}
          <Th>Execution</Th>
          <Th>State</Th>
          <Th className="max-tablet:hidden">Started</Th>
          <Th className="max-tablet:hidden">Duration</Th>
          <Th className="max-desktop:hidden">Trigger</Th>
          <Th className="max-tablet:hidden">Error or reason</Th>
        </tr>
      </thead>
      <tbody>
        {executions.map((execution) => (
          <Tr key={execution.id} data-ticked={selection?.ids.has(execution.id) || undefined}>
            {selection && (
              <Td className="w-px py-0 pr-0 pl-3 max-tablet:pt-1 max-tablet:pr-0 max-tablet:pl-2 max-tablet:align-top">
                <Tick
                  label={`Select ${execution.pipeline_name} #${execution.number}`}
                  checked={selection.ids.has(execution.id)}
                  onChange={(checked) => selection.toggle([execution.id], checked)}
                />
              </Td>
            )}
            <Td>
              <Link to={`/executions/${execution.id}`} className="cover-row font-semibold">
                {showPipeline && `${execution.pipeline_name} `}#{execution.number}
              </Link>
              <div className="text-small text-muted-foreground tablet:hidden">
                {formatAgo(execution.created_at, now)}
                {execution.duration_seconds !== null &&
                  `, ${formatDuration(execution.duration_seconds)}`}
              </div>
              {execution.error ? (
                <div className="mono wrap-text mt-1 line-clamp-2 text-small text-state-failed tablet:hidden">
                  {execution.error.message}
                </div>
              ) : (
                <div className="wrap-text line-clamp-2 text-small text-muted-foreground tablet:hidden">
                  {reasonOf(execution)}
                </div>
              )}
            </Td>
            <Td className="max-tablet:align-top">
              <StateBadge status={execution.status} />
            </Td>
            <Td className="whitespace-nowrap max-tablet:hidden">
              <time dateTime={execution.created_at} title={formatMoment(execution.created_at)}>
                {formatAgo(execution.created_at, now)}
              </time>
            </Td>
            <Td className="whitespace-nowrap max-tablet:hidden">
              {execution.duration_seconds === null
                ? ''
                : formatDuration(execution.duration_seconds)}
            </Td>
            <Td className="text-muted-foreground max-desktop:hidden">
              <span className="whitespace-nowrap">{startedBy(execution)}</span>
              {execution.retries > 0 && `, retried ${execution.retries}×`}
              {execution.trial && ', tries a draft'}
            </Td>
            <Td className="w-[44%] max-w-0 max-tablet:hidden">
              {execution.error ? (
                <div className="flex min-w-0 gap-2 text-small">
                  {execution.failed_stage && (
                    <span className="mono font-medium whitespace-nowrap">
                      {execution.failed_stage}
                    </span>
                  )}
                  <span className="mono truncate text-state-failed" title={execution.error.message}>
                    {execution.error.message}
                  </span>
                </div>
              ) : (
                <p className="truncate text-small text-muted-foreground">{reasonOf(execution)}</p>
              )}
            </Td>
          </Tr>
        ))}
      </tbody>
    </Table>
  )
}

/** Why it is queued, paused or cancelled, and what stages of one that runs wait for: at least that they do. */
function reasonOf({ reason, status, counts }: Schemas['ExecutionSummary']): string | null {
  if (reason || status !== 'running') return reason
  const waiting = counts.waiting ?? 0
  return waiting > 0 ? plural(waiting, 'stage waits', 'stages wait') : null
}

type TickProps = {
  label: string
  checked: boolean | 'some'
  onChange: (checked: boolean) => void
}

/** Above the link that covers its row, and large enough for a finger. */
function Tick({ label, checked, onChange }: TickProps) {
  return (
    <label className="relative z-10 flex size-8 cursor-pointer items-center justify-center">
      <span className="sr-only">{label}</span>
      <input
        type="checkbox"
        className="size-4 accent-foreground"
        checked={checked === true}
        ref={(box) => {
          if (box) box.indeterminate = checked === 'some'
        }}
        onChange={(event) => onChange(event.target.checked)}
      />
    </label>
  )
}
