import { Icon } from '@/components/icon'
import {
  describeSchedule,
  type NextRun as Next,
  rawSchedule,
  readingOf,
} from '@/features/triggers/model'
import { formatExactly, formatNext } from '@/features/triggers/moments'
import { cn } from '@/lib/cn'

type NextRunProps = { next: Next | undefined; now: number; className?: string }

/** When a pipeline's schedules start it next, or that they are paused or have ended; nothing without any. */
export function NextRun({ next, now, className }: NextRunProps) {
  if (!next) return null
  if (next.state !== 'due') {
    return (
      <span
        title={next.why}
        className={cn(
          'inline-flex items-baseline gap-1 whitespace-nowrap text-muted-foreground',
          className,
        )}
      >
        <Icon
          name={next.state === 'paused' ? 'hand' : 'clock-cross'}
          className="size-3.5 self-center"
        />
        {next.state}
      </span>
    )
  }
  const { trigger, at } = next
  const words = describeSchedule(trigger) ?? rawSchedule(trigger)
  return (
    <time
      dateTime={at}
      title={`${formatExactly(at, readingOf(trigger))} (${trigger.id}: ${words})`}
      className={cn('whitespace-nowrap text-muted-foreground', className)}
    >
      {formatNext(at, now)}
    </time>
  )
}
