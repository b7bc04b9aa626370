import { type ReactNode, useId } from 'react'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Card, CardHeader } from '@/components/ui/card'
import { type Trigger, usePauseTrigger } from '@/features/triggers/api'
import { BackfillButton } from '@/features/triggers/components/backfill-button'
import { FiringHistory } from '@/features/triggers/components/firing-history'
import { FiringReason } from '@/features/triggers/components/firing-reason'
import { FiringState } from '@/features/triggers/components/firing-state'
import { StartedExecution } from '@/features/triggers/components/started-execution'
import {
  CATCH_UP,
  describeSchedule,
  hasEnded,
  rawSchedule,
  readingOf,
} from '@/features/triggers/model'
import { formatExactly, formatInZone, formatUntil } from '@/features/triggers/moments'
import type { Schemas } from '@/lib/api'
import { formatAgo, formatMoment } from '@/lib/format'
import { useHasRole } from '@/store/session'

type TriggerCardProps = {
  trigger: Trigger
  /** The pipeline's latest executions. */
  runs: readonly Schemas['RunBar'][]
  now: number
  open: boolean
  onOpen: (open: boolean) => void
}

/** When it comes and what came of it; how it is paused, and by whom. */
export function TriggerCard({ trigger, runs, now, open, onOpen }: TriggerCardProps) {
  const history = useId()
  const words = describeSchedule(trigger)
  return (
    <Card aria-label={`Trigger ${trigger.id}`} className="overflow-hidden">
      <CardHeader
        title={<span className="mono">{trigger.id}</span>}
        end={
          <>
            <BackfillButton trigger={trigger} />
            <Pause trigger={trigger} />
          </>
        }
      >
        {words && <span>{words}</span>}
        <code className="mono rounded-sm border border-border px-1.5 text-small text-secondary-foreground">
          {rawSchedule(trigger)}
        </code>
        {!words && trigger.cron !== null && <span>{trigger.timezone}</span>}
      </CardHeader>
      {hasEnded(trigger) ? <EndedNote trigger={trigger} /> : <PausedNote trigger={trigger} />}
      <div className="grid grid-cols-[minmax(0,1.5fr)_minmax(0,1fr)] gap-x-8 gap-y-4 px-4 py-3.5 max-tablet:grid-cols-[minmax(0,1fr)]">
        <dl className="flex flex-col gap-2.5">
          {trigger.next_at !== null && (
            <Row name="Next run">
              <b className="font-semibold">{formatUntil(trigger.next_at, now)}</b>{' '}
              <time dateTime={trigger.next_at} className="text-muted-foreground">
                {formatExactly(trigger.next_at, readingOf(trigger))}
              </time>
            </Row>
          )}
          <Row name="Last instant">
            <Last trigger={trigger} runs={runs} now={now} />
          </Row>
          {trigger.start !== null && <End name="Start" moment={trigger.start} trigger={trigger} />}
          {trigger.end !== null && <End name="End" moment={trigger.end} trigger={trigger} />}
          <Row name="When missed">{CATCH_UP[trigger.catchup]}</Row>
          {trigger.when !== null && (
            <Row name="Only if">
              <code className="mono wrap-text text-small">{trigger.when}</code>
            </Row>
          )}
          {Object.keys(trigger.inputs).length > 0 && (
            <Row name="Inputs">
              <Inputs inputs={trigger.inputs} />
            </Row>
          )}
        </dl>
        {trigger.upcoming.length > 0 && <Upcoming trigger={trigger} now={now} />}
      </div>
      <div className="border-t border-border-soft">
        <button
          type="button"
          aria-expanded={open}
          aria-controls={history}
          onClick={() => onOpen(!open)}
          className="flex w-full items-center gap-1.5 px-4 py-2 text-left font-medium -outline-offset-2 hover:bg-muted"
        >
          <Icon name={open ? 'down' : 'right'} className="size-3.5" />
          History
        </button>
        <div id={history} hidden={!open} className="border-t border-border-soft">
          {open && <FiringHistory trigger={trigger} runs={runs} />}
        </div>
      </div>
    </Card>
  )
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="grid grid-cols-[96px_minmax(0,1fr)] gap-x-3">
      <dt className="text-muted-foreground">{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

type EndProps = { name: string; moment: string; trigger: Trigger }

function End({ name, moment, trigger }: EndProps) {
  return (
    <Row name={name}>
      <time dateTime={moment}>{formatExactly(moment, readingOf(trigger))}</time>
    </Row>
  )
}

function Pause({ trigger }: { trigger: Trigger }) {
  const pause = usePauseTrigger(trigger)
  const mayPause = useHasRole('operator')
  if (!mayPause || hasEnded(trigger)) return null
  const paused = trigger.paused_at !== null
  const word = paused ? 'Resume' : 'Pause'
  return (
    <Button
      size="small"
      aria-label={`${word} ${trigger.id}`}
      disabled={pause.isPending}
      onClick={() => pause.mutate(paused ? 'resume' : 'pause')}
    >
      <Icon name={paused ? 'executions' : 'pause'} className="size-3.5" />
      {word}
    </Button>
  )
}

function EndedNote({ trigger }: { trigger: Trigger }) {
  return (
    <p className="flex items-start gap-2 bg-muted px-4 py-2 text-secondary-foreground">
      <Icon name="clock-cross" className="mt-px" />
      <span>
        <b className="font-semibold">It {trigger.reason}.</b> It starts nothing by itself any more.
      </span>
    </p>
  )
}

function PausedNote({ trigger }: { trigger: Trigger }) {
  const { paused_at: at, paused_by: by } = trigger
  if (at === null && trigger.pipeline_enabled) return null
  return (
    <p className="flex items-start gap-2 bg-state-retrying-tint px-4 py-2 text-state-retrying">
      <Icon name="hand" className="mt-px" />
      <span>
        <b className="font-semibold">
          {at === null
            ? 'Its pipeline is paused.'
            : `Paused${by ? ` by ${by}` : ''}, ${formatMoment(at)}.`}
        </b>{' '}
        It starts nothing until {at === null ? 'that' : 'it'} is resumed.
      </span>
    </p>
  )
}

function Last({ trigger, runs, now }: Pick<TriggerCardProps, 'trigger' | 'runs' | 'now'>) {
  const { last } = trigger
  if (last === null) return <span className="text-muted-foreground">None has come yet.</span>
  return (
    <span className="flex flex-wrap items-center gap-x-2 gap-y-1">
      <FiringState state={last.state} />
      <StartedExecution firing={last} runs={runs} />
      <time
        dateTime={last.instant}
        title={formatExactly(last.instant, readingOf(trigger))}
        className="text-muted-foreground"
      >
        {formatAgo(last.instant, now)}
      </time>
      <span className="text-small text-muted-foreground">
        <FiringReason firing={last} />
      </span>
    </span>
  )
}

function Upcoming({ trigger, now }: { trigger: Trigger; now: number }) {
  return (
    <div>
      <h3 className="mb-1.5 text-muted-foreground">The next {trigger.upcoming.length}</h3>
      <ol className="flex flex-col gap-1">
        {trigger.upcoming.map((moment) => (
          <li key={moment} className="flex justify-between gap-3">
            <time dateTime={moment} title={formatExactly(moment, readingOf(trigger))}>
              {formatInZone(moment, readingOf(trigger))}
            </time>
            <span className="text-muted-foreground">{formatUntil(moment, now)}</span>
          </li>
        ))}
      </ol>
    </div>
  )
}

function Inputs({ inputs }: { inputs: Trigger['inputs'] }) {
  return (
    <ul className="mono flex flex-col gap-0.5 text-small">
      {Object.entries(inputs).map(([name, value]) => (
        <li key={name} className="wrap-text">
          {name}: {typeof value === 'string' ? value : JSON.stringify(value)}
        </li>
      ))}
    </ul>
  )
}
