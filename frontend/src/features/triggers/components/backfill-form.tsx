import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { explain, InlineError } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Prose } from '@/components/prose'
import { Button } from '@/components/ui/button'
import { Field, Input } from '@/components/ui/field'
import { Segmented } from '@/components/ui/segmented'
import {
  type Backfill,
  backfillPlanQuery,
  type Span,
  type Trigger,
  useBackfill,
} from '@/features/triggers/api'
import { describeBackfill, readingOf } from '@/features/triggers/model'
import { formatInZone, onClocks } from '@/features/triggers/moments'
import { useDebounced } from '@/hooks/use-debounced'
import { formatCount, plural } from '@/lib/format'
import { toast } from '@/store/toasts'

const PLAN_AFTER_MS = 250
const WEEK_MS = 7 * 24 * 60 * 60 * 1000
/** Executions that are started otherwise have 0. */
const AFTER_OTHERS = -10

const ORDERS = [
  { value: 'earliest_first', label: 'Earliest first' },
  { value: 'latest_first', label: 'Latest first' },
] as const

type BackfillFormProps = { trigger: Trigger; onDone: () => void }

/** A span of time, what lies in it, and how to start that. */
export function BackfillForm({ trigger, onDone }: BackfillFormProps) {
  const [span, setSpan] = useState<Span>(() => lastWeek(trigger))
  const wanted = useDebounced(span, PLAN_AFTER_MS)
  const whole = wanted.from !== '' && wanted.to !== ''
  const plan = useQuery({ ...backfillPlanQuery(trigger, wanted), enabled: whole, retry: false })
  const backfill = useBackfill(trigger)
  const settled = span === wanted && !plan.isFetching && !plan.error ? plan.data : undefined
  const change = (values: Partial<Span>) => {
    backfill.reset()
    setSpan({ ...span, ...values })
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    backfill.mutate(span, {
      onSuccess: (done) => {
        const { words, whole } = describeBackfill(done)
        if (!whole) return
        toast('success', words)
        onDone()
      },
    })
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <div className="grid grid-cols-2 gap-3 max-tablet:grid-cols-1">
        <Moment label="From" value={span.from} onChange={(from) => change({ from })} />
        <Moment label="To" value={span.to} onChange={(to) => change({ to })} />
      </div>
      <p className="-mt-2 text-small text-muted-foreground">
        On the clocks of {trigger.timezone}, both included. What has not come yet is left to the
        schedule.
      </p>
      <div className="flex flex-wrap items-center gap-x-5 gap-y-2.5">
        <Segmented
          label="Order"
          options={ORDERS}
          value={span.order}
          onChange={(order) => change({ order })}
        />
        <label className="inline-flex items-center gap-2">
          <input
            type="checkbox"
            className="size-4 accent-foreground"
            checked={span.priority !== 0}
            onChange={(event) => change({ priority: event.target.checked ? AFTER_OTHERS : 0 })}
          />
          Other executions go first
        </label>
      </div>
      <div role="status" className="rounded-md bg-muted px-3 py-2.5">
        {plan.error ? (
          <InlineError>{explain(plan.error)}</InlineError>
        ) : plan.data && whole ? (
          <Plan trigger={trigger} plan={plan.data} />
        ) : (
          <p className="text-muted-foreground">{whole ? 'Counting…' : 'Choose both moments.'}</p>
        )}
      </div>
      {backfill.error && <InlineError>{explain(backfill.error)}</InlineError>}
      {backfill.data && (
        <InlineError>
          <Prose text={describeBackfill(backfill.data).words} />
        </InlineError>
      )}
      <div className="flex justify-end">
        <Button
          type="submit"
          variant="primary"
          disabled={!settled || settled.left === 0 || backfill.isPending}
        >
          <Icon name="executions" />
          {backfill.isPending
            ? 'Starting…'
            : settled && settled.left > 0
              ? `Start ${plural(settled.left, 'execution')}`
              : 'Start'}
        </Button>
      </div>
    </form>
  )
}

function lastWeek({ timezone }: Trigger): Span {
  const now = Date.now()
  const from = onClocks(now - WEEK_MS, timezone).replace(/T.*/, 'T00:00')
  return { from, to: onClocks(now, timezone), order: 'earliest_first', priority: 0 }
}

type MomentProps = { label: string; value: string; onChange: (value: string) => void }

function Moment({ label, value, onChange }: MomentProps) {
  return (
    <Field label={label}>
      {(control) => (
        <Input
          {...control}
          type="datetime-local"
          required
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  )
}

function Plan({ trigger, plan }: { trigger: Trigger; plan: Backfill }) {
  const { first, last, instants, known, note } = plan
  if (first === null || last === null) return <p>No instant of the trigger lies between them.</p>
  const reading = readingOf(trigger)
  return (
    <>
      <p>
        <b className="font-semibold">{plural(instants, 'instant')}</b>
        {instants === 1
          ? `, ${formatInZone(first, reading)}`
          : `, ${formatInZone(first, reading)} to ${formatInZone(last, reading)}`}
        .{' '}
        {known > 0 &&
          (known === instants
            ? 'All of them were started before.'
            : `${formatCount(known)} of them ${known === 1 ? 'was' : 'were'} started before, and ${known === 1 ? 'is' : 'are'} left alone.`)}
      </p>
      {note !== null && (
        <p className="mt-1 text-small text-muted-foreground">
          <Prose text={note} />
        </p>
      )}
    </>
  )
}
