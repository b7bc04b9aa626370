import type { Schemas } from '@/lib/api'
import { formatDuration } from '@/lib/format'

type Replay = Schemas['ReplayBody']
type Saving = Schemas['SavingBody']

/** A usual run as it goes now, and as it would go: both against the same seconds. */
export function ReplayBars({ replay, saving }: { replay: Replay; saving: Saving | null }) {
  const width = Math.max(replay.now_seconds, replay.after_seconds)
  const between =
    saving &&
    `, estimated ${formatDuration(Math.max(0, replay.now_seconds - saving.high))} to ${formatDuration(Math.max(0, replay.now_seconds - saving.low))}`
  return (
    <div className="grid grid-cols-2 gap-3.5 max-tablet:grid-cols-1">
      <Bars
        title="Now"
        seconds={replay.now_seconds}
        stages={replay.now}
        width={width}
        fill="var(--color-muted-foreground)"
      />
      <Bars
        title="After"
        seconds={replay.after_seconds}
        rest={between}
        stages={replay.after}
        width={width}
        fill="var(--color-state-success)"
      />
    </div>
  )
}

type BarsProps = {
  title: string
  seconds: number
  rest?: string | null
  stages: Replay['now']
  width: number
  fill: string
}

const SHOWN_STAGES = 12

/** The longest stages, in the order in which they start. */
function Bars({ title, seconds, rest, stages, width, fill }: BarsProps) {
  const longest = stages
    .toSorted((a, b) => b.end - b.start - (a.end - a.start))
    .slice(0, SHOWN_STAGES)
    .toSorted((a, b) => a.start - b.start || a.end - b.end)
  return (
    <figure className="min-w-0">
      <figcaption className="mb-1">
        <b className="font-semibold">{title}</b>{' '}
        <span className="text-muted-foreground">
          {formatDuration(seconds)}
          {rest}
        </span>
      </figcaption>
      <ul className="flex flex-col gap-1">
        {longest.map(({ stage, start, end }) => (
          <li key={stage} className="min-w-0">
            <span className="mono block truncate text-tiny text-secondary-foreground">
              {stage} <span className="text-muted-foreground">{formatDuration(end - start)}</span>
            </span>
            <span
              aria-hidden="true"
              className="block h-2.5 rounded-[3px]"
              style={{
                marginLeft: `${(start / width) * 100}%`,
                width: `max(2px, ${((end - start) / width) * 100}%)`,
                background: fill,
              }}
            />
          </li>
        ))}
      </ul>
      {stages.length > SHOWN_STAGES && (
        <p className="mt-1 text-small text-muted-foreground">
          and {stages.length - SHOWN_STAGES} shorter ones
        </p>
      )}
    </figure>
  )
}
