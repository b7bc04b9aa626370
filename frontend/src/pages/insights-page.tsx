import {
  type InfiniteData,
  type UseInfiniteQueryResult,
  useInfiniteQuery,
  useQuery,
} from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link, useSearchParams } from 'react-router'
import { EmptyState, ErrorPanel } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { LoadMore } from '@/components/load-more'
import { LiveIndicator } from '@/components/offline-banner'
import { PageBody, PageHeader } from '@/components/page'
import { Button } from '@/components/ui/button'
import { Card } from '@/components/ui/card'
import { Segmented } from '@/components/ui/segmented'
import { SkeletonRows } from '@/components/ui/skeleton'
import {
  abnormalQuery,
  type Insight,
  learningQuery,
  type Suggestion,
  suggestionsQuery,
} from '@/features/insights/api'
import { InsightDetail } from '@/features/insights/components/insight-detail'
import { InsightList } from '@/features/insights/components/insight-list'
import { SuggestionDetail } from '@/features/insights/components/suggestion-detail'
import { SuggestionList } from '@/features/insights/components/suggestion-list'
import { useLiveInsights } from '@/features/insights/use-live-insights'
import { useNow } from '@/hooks/use-now'
import { usePageTitle } from '@/hooks/use-page-title'
import type { Page } from '@/lib/api'
import { cn } from '@/lib/cn'

const VIEWS = [
  { value: 'change', label: 'What to change' },
  { value: 'abnormal', label: 'What is abnormal' },
] as const

/** What history says: changes it speaks for, and what is abnormal. */
export function InsightsPage() {
  usePageTitle('Insights')
  useLiveInsights()
  const [search, setSearch] = useSearchParams()
  const view = search.get('view') === 'abnormal' ? 'abnormal' : 'change'
  return (
    <>
      <PageHeader title="Insights">
        <LiveIndicator />
      </PageHeader>
      <PageBody>
        <LearningNote />
        <Segmented
          label="View"
          options={VIEWS}
          value={view}
          className="mr-3 mb-3.5"
          onChange={(chosen) => setSearch(chosen === 'abnormal' ? { view: chosen } : {})}
        />
        {view === 'change' ? <Changes /> : <Abnormal />}
      </PageBody>
    </>
  )
}

/** Why there may be less here than one hopes for. */
function LearningNote() {
  const { data } = useQuery(learningQuery)
  if (!data?.note) return null
  return (
    <p className="mb-3.5 flex items-start gap-2 text-small text-secondary-foreground">
      <Icon name="warning" className="mt-0.5 size-3.5" />
      {data.note}
    </p>
  )
}

const CHANGE_STATES = [
  { value: 'open', label: 'Open' },
  { value: 'applied', label: 'Applied' },
  { value: 'dismissed', label: 'Dismissed' },
] as const
type ChangeState = (typeof CHANGE_STATES)[number]['value']

const SUGGESTION_STATES: Record<ChangeState, Suggestion['state'][]> = {
  open: ['open', 'draft'],
  applied: ['applied', 'undone'],
  dismissed: ['dismissed', 'gone'],
}

function Changes() {
  const choice = useChoice(CHANGE_STATES)
  const suggestions = useInfiniteQuery(suggestionsQuery(SUGGESTION_STATES[choice.state]))
  const shown = itemsOf(suggestions.data)
  const id = choice.chosen ?? shown[0]?.id ?? null
  return (
    <>
      <Browser
        states={CHANGE_STATES}
        choice={choice}
        what="The suggestions"
        query={suggestions}
        empty={
          <EmptyState icon="spark" title="Nothing to suggest">
            {choice.state === 'open'
              ? 'Suggestions need 20 successful runs of a pipeline, and a change that would have made them faster or safer.'
              : 'No suggestion is in this state.'}
          </EmptyState>
        }
        list={<SuggestionList suggestions={shown} chosen={id} onChoose={choice.open} />}
        detail={id !== null && <SuggestionDetail key={id} id={id} back={choice.back} />}
      />
      {choice.state === 'open' && <MoreNeeded />}
    </>
  )
}

/** What more runs may show. */
function MoreNeeded() {
  const { data } = useQuery(learningQuery)
  if (!data?.more_needed.length) return null
  return (
    <details className="mt-3.5 text-small text-secondary-foreground">
      <summary className="cursor-pointer">More runs may show more</summary>
      <ul className="mt-1.5 flex flex-col gap-1">
        {data.more_needed.map(({ pipeline_id, text }) => (
          <li key={`${pipeline_id} ${text}`}>
            <Link to={`/pipelines/${pipeline_id}`} className="text-link underline">
              {pipeline_id}
            </Link>
            : {text}
          </li>
        ))}
      </ul>
    </details>
  )
}

const ABNORMAL_STATES = [
  { value: 'open', label: 'Open' },
  { value: 'acknowledged', label: 'Seen' },
  { value: 'over', label: 'Over' },
] as const

const CLOCK_MS = 15_000

function Abnormal() {
  const choice = useChoice(ABNORMAL_STATES)
  const now = useNow(CLOCK_MS)
  const insights = useInfiniteQuery(abnormalQuery(choice.state))
  const shown = itemsOf(insights.data)
  const insight = shown.find(({ id }) => id === choice.chosen) ?? shown[0]
  return (
    <Browser
      states={ABNORMAL_STATES}
      choice={choice}
      what="What is abnormal"
      query={insights}
      empty={
        <EmptyState icon="tick" title="Nothing is abnormal">
          {choice.state === 'open'
            ? 'Durations, rows, waits and failures of the executions are as usual.'
            : 'No insight is in this state.'}
        </EmptyState>
      }
      list={
        <InsightList
          insights={shown}
          chosen={insight?.id ?? null}
          onChoose={choice.open}
          now={now}
        />
      }
      detail={insight && <InsightDetail key={insight.id} insight={insight} back={choice.back} />}
    />
  )
}

type Choice<State extends string> = {
  state: State
  /** The id of what is opened, as the address has it. */
  chosen: string | null
  choose: (state: State) => void
  open: (id: string) => void
  /** The way back to the list, where it is not shown beside. */
  back: ReactNode
}

/** The state of the list and what is opened of it, kept in the address. */
function useChoice<State extends string>(states: readonly { value: State }[]): Choice<State> {
  const [search, setSearch] = useSearchParams()
  const [initial] = states
  const asked = search.get('state')
  const state = (states.find(({ value }) => value === asked) ?? initial)?.value as State
  const set = (key: string, value: string | null, replace: boolean) =>
    setSearch(
      (before) => {
        const after = new URLSearchParams(before)
        after.delete('id')
        if (value === null) after.delete(key)
        else after.set(key, value)
        return after
      },
      { replace, preventScrollReset: true },
    )
  const close = () => set('id', null, false)
  return {
    state,
    chosen: search.get('id'),
    choose: (value: State) => set('state', value === initial?.value ? null : value, true),
    open: (id: string) => set('id', id, false),
    back: (
      <p className="hidden border-b border-border-soft px-2 py-1 max-desktop:block">
        <Button size="small" variant="ghost" onClick={close}>
          Back to the list
        </Button>
      </p>
    ),
  }
}

type Answer<T> = InfiniteData<Page<T>> | undefined

function itemsOf<T extends Suggestion | Insight>(data: Answer<T>): T[] {
  return data?.pages.flatMap((page) => page.items) ?? []
}

type BrowserProps<T, State extends string> = {
  states: readonly { value: State; label: string }[]
  choice: Choice<State>
  what: string
  query: UseInfiniteQueryResult<InfiniteData<Page<T>>>
  empty: ReactNode
  list: ReactNode
  detail: ReactNode
}

/** A list with what is opened of it: side by side; where there is no room, one after the other was chosen. */
function Browser<T, State extends string>({
  states,
  choice,
  what,
  query,
  empty,
  list,
  detail,
}: BrowserProps<T, State>) {
  const some = query.data?.pages.some((page) => page.items.length > 0)
  const opened = choice.chosen !== null
  return (
    <>
      <Segmented
        label="State"
        options={states}
        value={choice.state}
        onChange={choice.choose}
        className="mb-3.5"
      />
      <div className="grid grid-cols-[minmax(0,1fr)_minmax(0,1.1fr)] items-start gap-3.5 max-desktop:grid-cols-[minmax(0,1fr)]">
        <Card className={cn('overflow-hidden', opened && 'max-desktop:hidden')}>
          {query.isPending && <SkeletonRows rows={6} label={`Loading: ${what.toLowerCase()}`} />}
          {query.error && !query.data && (
            <ErrorPanel error={query.error} what={what} onRetry={() => void query.refetch()} />
          )}
          {query.data && (some ? list : empty)}
          <LoadMore
            hasMore={query.hasNextPage}
            loading={query.isFetchingNextPage}
            onLoad={() => void query.fetchNextPage()}
          />
        </Card>
        <div className={cn('min-w-0', !opened && 'max-desktop:hidden')}>{detail}</div>
      </div>
    </>
  )
}
