import { useVirtualizer } from '@tanstack/react-virtual'
import { memo, useMemo, useRef } from 'react'
import { Icon } from '@/components/icon'
import { Prose } from '@/components/prose'
import { Card, CardHeader } from '@/components/ui/card'
import {
  buildTimeline,
  type TimelineRow,
  type TimeScale,
} from '@/features/executions/model/timeline'
import { useNow } from '@/hooks/use-now'
import type { Schemas } from '@/lib/api'
import { cn } from '@/lib/cn'
import { formatDuration } from '@/lib/format'
import { appearance, hasEnded, isFailure, TONE_FILL, TONE_TEXT } from '@/lib/status'

type StageRun = Schemas['StageRunBody']

type TimelineProps = {
  stages: StageRun[]
  ended: boolean
  selected: { stage: string; index: number } | null
  onSelect: (stage: string, index: number) => void
}

const ROW_HEIGHT = 25
const TALLEST = 420
/** While something runs its bar grows ten times a second. */
const GROW_MS = 100
/** Right of the last bar, for its duration. */
const BAR_AREA =
  'absolute inset-y-0 left-[132px] right-[78px] max-tablet:left-[108px] max-tablet:right-[64px]'

export function Timeline({ stages, ended, selected, onSelect }: TimelineProps) {
  const moving = !ended && stages.some((run) => run.started_at !== null && !hasEnded(run.status))
  const now = useNow(moving ? GROW_MS : null)
  const { rows, scale, criticalPath } = useMemo(() => buildTimeline(stages, now), [stages, now])
  const names = new Map(stages.map((run) => [run.stage, run.name]))
  const waited = rows.some((row) => row.wait !== null)

  return (
    <Card>
      <CardHeader
        title="Timeline"
        end={scale.seconds > 0 && `0 s to ${formatDuration(scale.seconds)}`}
      >
        <div className="flex min-w-0 flex-1 gap-x-3 text-small text-muted-foreground">
          {waited && (
            <span className="inline-flex items-center gap-1.5 whitespace-nowrap">
              <span aria-hidden="true" className="hatch-waiting h-2.5 w-3 border border-border" />
              waiting for a slot
            </span>
          )}
          {criticalPath.length > 1 && (
            <span className="truncate max-tablet:hidden">
              <span aria-hidden="true">▔ </span>critical path:{' '}
              {shorten(criticalPath.map((stage) => names.get(stage) ?? stage))}
            </span>
          )}
        </div>
      </CardHeader>
      <div className="px-4 pt-1 pb-2 max-tablet:px-3">
        <Axis scale={scale} />
        <Rows rows={rows} scale={scale} selected={selected} onSelect={onSelect} />
      </div>
    </Card>
  )
}

const NAMED_AT_MOST = 6

function shorten(names: string[]): string {
  if (names.length <= NAMED_AT_MOST) return names.join(', ')
  return `${names.slice(0, NAMED_AT_MOST - 1).join(', ')}, … ${names.at(-1)}`
}

function Axis({ scale }: { scale: TimeScale }) {
  return (
    <div aria-hidden="true" className="relative h-[18px] text-[10.5px] text-muted-foreground">
      <div className={BAR_AREA}>
        {scale.ticks().map((tick) => (
          <span
            key={tick.position}
            className={cn(
              'absolute top-0.5 whitespace-nowrap max-tablet:nth-[even]:hidden',
              tick.pause && 'bg-card pr-1 font-medium',
            )}
            style={{ left: `${tick.position * 100}%` }}
          >
            {tick.pause && '⫽ '}
            {tick.label}
          </span>
        ))}
      </div>
    </div>
  )
}

type RowsProps = Pick<TimelineProps, 'selected' | 'onSelect'> & {
  rows: TimelineRow[]
  scale: TimeScale
}

function Rows({ rows, scale, selected, onSelect }: RowsProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const lines = useMemo(() => withHeadings(rows), [rows])
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 10,
  })
  const height = lines.length * ROW_HEIGHT
  return (
    <div ref={scroller} className="overflow-y-auto" style={{ maxHeight: TALLEST }}>
      <div className="relative" style={{ height }}>
        <div aria-hidden="true" className={BAR_AREA}>
          {scale.ticks().map((tick) => (
            <span
              key={tick.position}
              className={cn(
                'absolute inset-y-0 border-l border-border-soft',
                tick.pause && 'border-l-2 border-dashed border-border',
              )}
              style={{ left: `${tick.position * 100}%` }}
            />
          ))}
        </div>
        <ul aria-label="Stages in time">
          {virtual.getVirtualItems().map((item) => {
            const line = lines[item.index]
            if (line === undefined) return null
            return (
              <li
                key={item.key}
                className="absolute inset-x-0"
                style={{ top: item.start, height: ROW_HEIGHT }}
              >
                {typeof line === 'string' ? (
                  <p className="relative flex h-full items-end border-b border-border-soft bg-card pb-1 pl-1 text-tiny font-medium text-muted-foreground">
                    {line}
                  </p>
                ) : (
                  <Row
                    row={line}
                    scale={scale}
                    selected={selected?.stage === line.stage && selected.index === line.index}
                    onSelect={onSelect}
                  />
                )}
              </li>
            )
          })}
        </ul>
      </div>
    </div>
  )
}

/** A heading before the handlers of each kind. */
function withHeadings(rows: TimelineRow[]): (TimelineRow | string)[] {
  return rows.flatMap((row, position) =>
    row.group !== null && row.group !== rows[position - 1]?.group ? [row.group, row] : [row],
  )
}

type RowProps = {
  row: TimelineRow
  scale: TimeScale
  selected: boolean
  onSelect: (stage: string, index: number) => void
}

const Row = memo(function Row({ row, scale, selected, onSelect }: RowProps) {
  const { icon, tone, word } = appearance(row.status)
  const dim = row.work === null
  return (
    <button
      type="button"
      aria-pressed={selected}
      onClick={() => onSelect(row.stage, row.index)}
      className={cn(
        'relative block size-full rounded-sm text-left -outline-offset-2 hover:bg-muted',
        selected &&
          (isFailure(row.status)
            ? 'bg-state-failed-tint/60 hover:bg-state-failed-tint'
            : 'bg-background'),
      )}
    >
      <span
        className={cn(
          'absolute inset-y-0 left-1 flex w-[120px] items-center gap-1.5 text-tiny max-tablet:w-[98px]',
          dim && 'text-muted-foreground',
          selected && 'font-semibold',
        )}
      >
        <Icon
          name={icon}
          className={cn(
            'size-3 stroke-2',
            TONE_TEXT[tone],
            row.status === 'running' && 'spin-running',
          )}
        />
        <span className="truncate">{row.label}</span>
        <span className="sr-only">{facts(row, word)}</span>
      </span>
      <span aria-hidden="true" className={BAR_AREA}>
        <Bars row={row} scale={scale} fill={TONE_FILL[tone]} selected={selected} />
      </span>
    </button>
  )
})

type BarsProps = { row: TimelineRow; scale: TimeScale; fill: string; selected: boolean }

function Bars({ row, scale, fill, selected }: BarsProps) {
  const place = (time: number) => scale.position(time) * 100
  const end = row.work ?? row.wait
  return (
    <>
      {row.wait && (
        <span
          className="hatch-waiting absolute top-[7px] h-3"
          style={{
            left: `${place(row.wait.from)}%`,
            width: `${place(row.wait.to) - place(row.wait.from)}%`,
          }}
        />
      )}
      {row.work && (
        <span
          className={cn(
            'absolute top-[5px] h-4 min-w-[3px] rounded-[3.5px]',
            isFailure(row.status) && 'hatch-failed',
          )}
          style={{
            left: `${place(row.work.from)}%`,
            width: `${place(row.work.to) - place(row.work.from)}%`,
            ...(!isFailure(row.status) && { backgroundColor: fill, opacity: 0.85 }),
          }}
        >
          {row.critical && <span className="absolute inset-x-0 -top-[3px] h-0.5 bg-foreground" />}
        </span>
      )}
      {end && row.seconds !== null && (
        <span
          className="absolute top-1 pl-1.5 text-[10.5px] whitespace-nowrap text-muted-foreground"
          style={{ left: `${place(end.to)}%` }}
        >
          {formatDuration(row.seconds)}
        </span>
      )}
      {row.note && !row.work && (
        <span className="absolute inset-y-0 right-0 left-0 truncate pt-1 text-right text-[10.5px] text-muted-foreground">
          {/* Neither the grid nor the hatch runs through the words. */}
          <span className={cn('pl-1.5', (row.wait || !selected) && 'bg-card')}>
            <Prose text={row.note} />
          </span>
        </span>
      )}
    </>
  )
}

/** What the bars show, in words. */
function facts(row: TimelineRow, word: string): string {
  return [
    word.toLowerCase(),
    row.group?.toLowerCase(),
    row.seconds !== null && formatDuration(row.seconds),
    row.wait && `waited ${formatDuration((row.wait.to - row.wait.from) / 1000)}`,
    row.critical && 'on the critical path',
    row.note,
  ]
    .filter(Boolean)
    .join(', ')
}
