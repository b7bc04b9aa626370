import { useVirtualizer } from '@tanstack/react-virtual'
import { memo, useEffect, useLayoutEffect, useRef, useState } from 'react'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { LogFields } from '@/features/executions/components/inspector/log-fields'
import type { Schemas } from '@/lib/api'
import { cn } from '@/lib/cn'
import { formatPreciseClock } from '@/lib/format'

type LogLine = Schemas['LogLine']

type LogListProps = {
  lines: LogLine[]
  wrap: boolean
  showStage: boolean
  /** The line to show in the middle and mark. */
  anchor: number | null
  hasOlder: boolean
  onReachTop: () => void
  onReachEnd: () => void
  onShowAround: ((line: LogLine) => void) | undefined
}

const LINE_HEIGHT = 19.5
const NEAR_EDGE = 40

/** Only the lines in sight are in the page. It follows the end until somebody scrolls up. */
export function LogList(props: LogListProps) {
  const { lines, wrap, showStage, anchor, hasOlder, onReachTop, onReachEnd, onShowAround } = props
  const scroller = useRef<HTMLDivElement>(null)
  const [following, setFollowing] = useState(anchor === null)
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE_HEIGHT,
    getItemKey: (position) => lines[position]?.id ?? position,
    overscan: 20,
  })

  const lastId = lines.at(-1)?.id
  useLayoutEffect(() => {
    if (following && lastId !== undefined) virtual.scrollToIndex(lines.length - 1, { align: 'end' })
  }, [following, lastId, lines.length, virtual])
  useKeepPlaceWhenOlderArrive(lines, virtual, following)
  const anchored = useRef(false)
  useEffect(() => {
    const position = lines.findIndex((line) => line.id === anchor)
    if (anchored.current || position < 0) return
    anchored.current = true
    virtual.scrollToIndex(position, { align: 'center' })
    onReachEnd()
  })

  const onScroll = () => {
    const element = scroller.current
    if (!element) return
    const below = element.scrollHeight - element.scrollTop - element.clientHeight
    setFollowing(below < NEAR_EDGE && anchor === null)
    if (element.scrollTop < NEAR_EDGE) onReachTop()
    if (below < NEAR_EDGE) onReachEnd()
  }

  return (
    <div className="relative">
      <div
        ref={scroller}
        role="log"
        aria-label="Log"
        // Announcing every line would drown everything else.
        aria-live="off"
        tabIndex={0}
        onScroll={onScroll}
        className="mono max-h-[min(440px,60dvh)] overflow-auto py-2 text-small leading-[1.62] -outline-offset-2"
      >
        {hasOlder && (
          <div className="px-4 pb-1">
            <Button size="small" variant="ghost" onClick={onReachTop}>
              Show older lines
            </Button>
          </div>
        )}
        <div
          className={cn('relative', !wrap && 'min-w-max')}
          style={{ height: virtual.getTotalSize() }}
        >
          {virtual.getVirtualItems().map((item) => {
            const line = lines[item.index]
            return (
              line && (
                <div
                  key={item.key}
                  ref={virtual.measureElement}
                  data-index={item.index}
                  className="absolute inset-x-0 top-0"
                  style={{ transform: `translateY(${item.start}px)` }}
                >
                  <Line
                    line={line}
                    wrap={wrap}
                    showStage={showStage}
                    marked={line.id === anchor}
                    onShowAround={onShowAround}
                  />
                </div>
              )
            )
          })}
        </div>
      </div>
      {!following && anchor === null && (
        <Button
          size="small"
          className="absolute right-4 bottom-3"
          onClick={() => setFollowing(true)}
        >
          <Icon name="down" className="size-3.5" />
          Follow
        </Button>
      )}
    </div>
  )
}

type Virtual = ReturnType<typeof useVirtualizer<HTMLDivElement, Element>>

/** Older lines push everything down by their height; scroll by as much, so that what is read stays put. */
function useKeepPlaceWhenOlderArrive(lines: LogLine[], virtual: Virtual, following: boolean): void {
  const firstId = lines[0]?.id
  const before = useRef(firstId)
  useLayoutEffect(() => {
    const added = lines.findIndex((line) => line.id === before.current)
    before.current = firstId
    if (added > 0 && !following) virtual.scrollToIndex(added, { align: 'start' })
  }, [firstId, lines, virtual, following])
}

const LEVEL_WORDS = { debug: 'DEBUG', info: 'INFO', warning: 'WARN', error: 'ERROR' } as const

type LineProps = {
  line: LogLine
  wrap: boolean
  showStage: boolean
  marked: boolean
  onShowAround: ((line: LogLine) => void) | undefined
}

const Line = memo(function Line({ line, wrap, showStage, marked, onShowAround }: LineProps) {
  const { level } = line
  return (
    <div
      className={cn(
        'group grid grid-cols-[86px_42px_minmax(0,1fr)_auto] gap-x-2 px-4 max-tablet:grid-cols-[42px_minmax(0,1fr)_auto] max-tablet:px-3',
        level === 'error' && 'bg-state-failed-tint text-state-failed',
        marked && 'bg-state-retrying-tint outline outline-border',
      )}
    >
      <time
        dateTime={line.at}
        className={cn('max-tablet:hidden', level !== 'error' && 'text-muted-foreground')}
      >
        {formatPreciseClock(line.at)}
      </time>
      <span
        className={cn(
          level === 'warning' && 'text-state-retrying',
          (level === 'info' || level === 'debug') && 'text-muted-foreground',
        )}
      >
        {LEVEL_WORDS[level]}
      </span>
      <span
        className={cn(
          wrap ? 'wrap-text' : 'whitespace-pre',
          level === 'warning' && 'text-state-retrying',
          level === 'debug' && 'text-muted-foreground',
        )}
      >
        {showStage && line.stage && <span className="text-muted-foreground">{line.stage} </span>}
        {withoutAnsi(line.message)}
        <LogFields fields={line.fields} />
      </span>
      {onShowAround && (
        <button
          type="button"
          onClick={() => onShowAround(line)}
          className="self-start rounded-sm px-1 font-sans text-tiny text-link opacity-0 group-hover:opacity-100 focus-visible:opacity-100"
        >
          Around
        </button>
      )}
    </div>
  )
})

const ANSI = /\u001b\[[0-9;?]*[A-Za-z]/g

/** Programs colour their output for terminals. */
function withoutAnsi(text: string): string {
  return text.replace(ANSI, '')
}
