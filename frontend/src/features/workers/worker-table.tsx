import { Fragment, useState } from 'react'
import { Link } from 'react-router'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { ConfirmDialog } from '@/components/ui/confirm-dialog'
import { Table, Td, Th } from '@/components/ui/table'
import { type RunningStage, useDrainWorker, type Worker } from '@/features/workers/api'
import { filledMarks, inOrder, MOST_MARKS, STATES } from '@/features/workers/model'
import { cn } from '@/lib/cn'
import { formatAgo, formatCount, formatDuration, plural } from '@/lib/format'
import { useHasRole } from '@/store/session'

type WorkerTableProps = { workers: Worker[]; now: number }

export function WorkerTable({ workers, now }: WorkerTableProps) {
  const mayDrain = useHasRole('admin')
  const columns = mayDrain ? 6 : 5
  return (
    <Table>
      <thead>
        <tr>
          <Th>Worker</Th>
          <Th className="max-tablet:hidden">Pools</Th>
          <Th>Slots</Th>
          <Th className="max-tablet:hidden">State</Th>
          <Th className="max-tablet:hidden">Heard of</Th>
          {mayDrain && (
            <Th>
              <span className="sr-only">Actions</span>
            </Th>
          )}
        </tr>
      </thead>
      {inOrder(workers).map((worker) => (
        <tbody key={worker.id} className="border-b border-border-soft last:border-b-0">
          <tr>
            <Td>
              <Name worker={worker} now={now} />
            </Td>
            <Td className="max-tablet:hidden">
              <Pools pools={worker.pools} />
            </Td>
            <Td>
              <Slots worker={worker} />
            </Td>
            <Td className="max-tablet:hidden">
              <State worker={worker} />
            </Td>
            <Td className="whitespace-nowrap text-muted-foreground max-tablet:hidden">
              <HeardOf worker={worker} now={now} />
            </Td>
            {mayDrain && (
              <Td className="text-right whitespace-nowrap">
                {worker.state === 'working' && <DrainButton worker={worker} />}
              </Td>
            )}
          </tr>
          {worker.stages.length > 0 && (
            <tr>
              <td colSpan={columns} className="px-4 pb-3 max-tablet:px-3">
                <Stages worker={worker} now={now} />
              </td>
            </tr>
          )}
        </tbody>
      ))}
    </Table>
  )
}

function Name({ worker, now }: { worker: Worker; now: number }) {
  const { host, pid, role, version, is_here: isHere } = worker
  return (
    <>
      <p className="font-medium">
        <span className="mono wrap-text">{host}</span>
        {isHere && (
          <span className="ml-2 rounded-sm bg-muted px-1.5 py-px text-tiny font-medium whitespace-nowrap text-secondary-foreground">
            this one
          </span>
        )}
      </p>
      <p className="text-small text-muted-foreground">
        {role}, pid {pid}, version {version}
      </p>
      <div className="text-small text-muted-foreground tablet:hidden">
        <p>
          <Pools pools={worker.pools} /> · <HeardOf worker={worker} now={now} />
        </p>
        <State worker={worker} />
      </div>
    </>
  )
}

function Pools({ pools }: { pools: string[] | null }) {
  if (pools === null) return <span className="text-muted-foreground">all pools</span>
  return <span className="mono wrap-text">{pools.join(', ')}</span>
}

function Slots({ worker: { running, slots } }: { worker: Worker }) {
  const marks = Math.min(slots, MOST_MARKS)
  const filled = filledMarks(running, slots, marks)
  return (
    <span className="flex flex-wrap items-center gap-x-2.5 gap-y-1">
      <span aria-hidden="true" className="flex gap-0.5 max-tablet:hidden">
        {Array.from({ length: marks }, (_, place) => (
          <span
            // biome-ignore lint/suspicious/noArrayIndexKey: marks have nothing but their place
            key={place}
            className={cn(
              'h-3 w-2 rounded-[2px]',
              place < filled ? 'bg-state-running' : 'bg-border',
            )}
          />
        ))}
      </span>
      <span className="whitespace-nowrap">
        {formatCount(running)}
        <span className="text-muted-foreground"> of {formatCount(slots)}</span>
      </span>
    </span>
  )
}

function State({ worker }: { worker: Worker }) {
  const { icon, word, className } = STATES[worker.state]
  return (
    <span className={cn('flex items-center gap-1.5 font-medium whitespace-nowrap', className)}>
      <Icon name={icon} className="size-3.5" />
      {word}
    </span>
  )
}

function HeardOf({ worker, now }: { worker: Worker; now: number }) {
  return (
    <time dateTime={worker.seen_at} title={`Works since ${formatAgo(worker.started_at, now)}`}>
      {formatAgo(worker.seen_at, now)}
    </time>
  )
}

/** So many are shown before somebody asks for all. */
const FEW = 3

function Stages({ worker, now }: { worker: Worker; now: number }) {
  const [all, setAll] = useState(false)
  const { stages, running } = worker
  const shown = all ? stages : stages.slice(0, FEW)
  return (
    <div className="rounded-md bg-muted px-3 py-2 text-small">
      <ul aria-label={`Running on ${worker.host}`} className="flex flex-col gap-1">
        {shown.map((stage) => (
          <li key={`${stage.execution_id} ${stage.stage} ${stage.index}`}>
            <StageLine stage={stage} now={now} />
          </li>
        ))}
      </ul>
      {all && running > stages.length && (
        <p className="mt-1 text-muted-foreground">
          and {formatCount(running - stages.length)} more
        </p>
      )}
      {stages.length > FEW && (
        <button
          type="button"
          aria-expanded={all}
          className="mt-1 min-h-6 text-link underline"
          onClick={() => setAll(!all)}
        >
          {all ? 'Show fewer' : `Show all ${formatCount(running)}`}
        </button>
      )}
    </div>
  )
}

function StageLine({ stage, now }: { stage: RunningStage; now: number }) {
  const { execution_id: id, execution_number: number, pipeline_name: pipeline } = stage
  const seconds = stage.started_at && Math.max(0, (now - Date.parse(stage.started_at)) / 1000)
  const parts = [
    stage.index > 0 && `item ${formatCount(stage.index)}`,
    stage.attempt > 1 && `attempt ${stage.attempt}`,
    seconds !== null && seconds !== '' && formatDuration(seconds),
  ].filter((part) => part !== false)
  return (
    <span className="flex flex-wrap items-baseline gap-x-2">
      <Link to={`/executions/${id}`} className="wrap-text text-link underline">
        {pipeline} #{number}
      </Link>
      <Link
        to={`/executions/${id}?stage=${encodeURIComponent(stage.stage)}`}
        className="mono wrap-text text-link underline"
      >
        {stage.stage}
      </Link>
      <span className="text-muted-foreground">
        {parts.map((part, place) => (
          <Fragment key={part}>
            {place > 0 && ' · '}
            {part}
          </Fragment>
        ))}
      </span>
    </span>
  )
}

function DrainButton({ worker }: { worker: Worker }) {
  const [open, setOpen] = useState(false)
  const drain = useDrainWorker()
  const { host, pid, running } = worker
  return (
    <>
      <Button size="small" onClick={() => setOpen(true)}>
        Drain…
        <span className="sr-only">
          {' '}
          {host}, pid {pid}
        </span>
      </Button>
      <ConfirmDialog
        open={open}
        onOpenChange={setOpen}
        title={`Drain ${host}, pid ${pid}?`}
        action="Drain the worker"
        danger
        disabled={drain.isPending}
        error={drain.error}
        onConfirm={() => drain.mutate(worker.id, { onSuccess: () => setOpen(false) })}
      >
        <p>
          {running === 0
            ? 'It runs nothing now. '
            : `${plural(running, 'stage')} running now may end. `}
          What still runs after its grace is handed back, to be run by another worker.
        </p>
        <p>It takes work again only after a restart.</p>
      </ConfirmDialog>
    </>
  )
}
