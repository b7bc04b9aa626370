import { useInfiniteQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { useSearchParams } from 'react-router'
import { ErrorPanel } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { SearchInput } from '@/components/ui/field'
import { Segmented } from '@/components/ui/segmented'
import { SkeletonRows } from '@/components/ui/skeleton'
import { LOG_PAGE, type LogLevel, logsQuery } from '@/features/executions/api'
import { LogList } from '@/features/executions/components/inspector/log-list'
import { useDebounced } from '@/hooks/use-debounced'
import { useKey } from '@/hooks/use-key'
import { useLiveRoom } from '@/hooks/use-live-room'

const LEVELS: { value: LogLevel; label: string }[] = [
  { value: 'debug', label: 'All' },
  { value: 'info', label: 'Info' },
  { value: 'warning', label: 'Warn' },
  { value: 'error', label: 'Error' },
]

const SEARCH_DELAY_MS = 250
/** New lines are fetched at most this often, however many events arrive. */
const TAIL_EVERY_MS = 150

type LogPanelProps = {
  executionId: string
  ended: boolean
  stage: string | null
  /** Of one item alone. */
  index?: number | null
}

/** The log of a stage or of all; the server filters, level and text are part of the URL. */
export function LogPanel({ executionId, ended, stage, index = null }: LogPanelProps) {
  const [search, setSearch] = useSearchParams()
  const level = LEVELS.find(({ value }) => value === search.get('level'))?.value ?? 'debug'
  const anchor = search.has('line') ? Number(search.get('line')) : null
  const [text, setText] = useState(search.get('find') ?? '')
  const settledText = useDebounced(text.trim(), SEARCH_DELAY_MS)
  const [wrap, setWrap] = useState(true)
  const searchBox = useRef<HTMLInputElement>(null)

  const logs = useInfiniteQuery(
    logsQuery(executionId, { stage, index, level, text: settledText }, anchor),
  )
  const lines = logs.data?.pages.flatMap((page) => page.lines) ?? []
  useTail(executionId, ended, logs)
  useKey('/', () => searchBox.current?.focus())

  const change = (values: Record<string, string | null>) =>
    setSearch(
      (before) => {
        const after = new URLSearchParams(before)
        for (const [name, value] of Object.entries(values)) {
          if (value) after.set(name, value)
          else after.delete(name)
        }
        return after
      },
      { replace: true, preventScrollReset: true },
    )
  const filtered = level !== 'debug' || settledText !== ''

  return (
    <>
      <div className="flex flex-wrap items-center gap-2 border-b border-border-soft px-4 py-2">
        <SearchInput
          ref={searchBox}
          label="Find in logs"
          className="min-w-[120px] flex-1 max-tablet:basis-full"
          value={text}
          onChange={(event) => {
            setText(event.target.value)
            change({ find: event.target.value, line: null })
          }}
        />
        <Segmented
          label="Smallest level"
          options={LEVELS}
          value={level}
          onChange={(value) => change({ level: value === 'debug' ? null : value, line: null })}
        />
        <Button
          variant="ghost"
          size="icon"
          aria-label="Wrap long lines"
          aria-pressed={wrap}
          className="aria-pressed:bg-background"
          onClick={() => setWrap(!wrap)}
        >
          <Icon name="wrap" />
        </Button>
      </div>
      {logs.isPending && <SkeletonRows rows={6} label="Loading the log" />}
      {logs.error && (
        <ErrorPanel error={logs.error} what="The log" onRetry={() => void logs.refetch()} />
      )}
      {logs.data && lines.length === 0 && (
        <p className="p-4 text-muted-foreground">
          {filtered ? 'No line matches.' : ended ? 'Nothing was logged.' : 'Nothing is logged yet.'}
        </p>
      )}
      {lines.length > 0 && (
        <LogList
          key={`${stage}:${level}:${settledText}:${anchor}`}
          lines={lines}
          wrap={wrap}
          showStage={stage === null}
          anchor={anchor}
          hasOlder={logs.hasPreviousPage}
          onReachTop={() => {
            if (logs.hasPreviousPage && !logs.isFetching) void logs.fetchPreviousPage()
          }}
          onReachEnd={() => {
            if (anchor !== null && !logs.isFetching) void logs.fetchNextPage()
          }}
          onShowAround={
            filtered
              ? (line) => {
                  setText('')
                  change({ level: null, find: null, line: String(line.id) })
                }
              : undefined
          }
        />
      )}
    </>
  )
}

type LogsResult = {
  data: { pages: { lines: unknown[] }[] } | undefined
  isFetching: boolean
  refetch: () => Promise<unknown>
  fetchNextPage: () => Promise<unknown>
}

/**
 * Fetch what comes behind the last line whenever the execution stirs. Lines are asked for rather than taken from the
 * event: the server then applies the same filter, and none is missed or doubled.
 */
function useTail(executionId: string, ended: boolean, logs: LogsResult): void {
  const latest = useRef(logs)
  useEffect(() => {
    latest.current = logs
  })
  const timer = useRef<number | undefined>(undefined)
  const fetchSoon = () => {
    timer.current ??= window.setTimeout(async () => {
      timer.current = undefined
      const { data, isFetching, refetch, fetchNextPage } = latest.current
      if (isFetching) return fetchSoon()
      // Without a first page there is nothing to go on from: its request has failed.
      await (data ? fetchNextPage() : refetch())
      if (latest.current.data?.pages.at(-1)?.lines.length === LOG_PAGE) fetchSoon()
    }, TAIL_EVERY_MS)
  }
  useLiveRoom(ended ? null : `execution:${executionId}`, {
    onEvents: fetchSoon,
    onReconnect: fetchSoon,
  })
  // The last lines are written as the execution ends, when its room falls silent.
  const wasRunning = useRef(!ended)
  useEffect(() => {
    if (ended && wasRunning.current) fetchSoon()
    wasRunning.current = !ended
  })
  useEffect(() => () => window.clearTimeout(timer.current), [])
}
