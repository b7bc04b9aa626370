import { type UseQueryResult, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { ErrorPanel } from '@/components/feedback'
import { SkeletonRows } from '@/components/ui/skeleton'
import {
  type Sent,
  sentToDraftQuery,
  sentToExplainQuery,
  type Wish,
} from '@/features/assistant/api'
import { cn } from '@/lib/cn'
import { formatCount } from '@/lib/format'

const TITLES: Record<Sent['messages'][number]['role'], string> = {
  system: 'What it is told to do',
  user: 'What it is given',
  assistant: 'What it said',
}

/** To the letter what explaining the failure sends, loaded when somebody looks. */
export function SentToExplain({ executionId }: { executionId: string }) {
  const [open, setOpen] = useState(false)
  const sent = useQuery({ ...sentToExplainQuery(executionId), enabled: open, staleTime: 0 })
  return <SentDetails sent={sent} open={open} onToggle={setOpen} />
}

/** To the letter what asking for a definition sends. */
export function SentToDraft({ wish }: { wish: Wish }) {
  const [open, setOpen] = useState(false)
  const sent = useQuery({ ...sentToDraftQuery(wish), enabled: open && wish.wish !== '' })
  return (
    <SentDetails sent={sent} open={open} onToggle={setOpen}>
      {wish.wish === '' ? 'Write what it should do: then it is shown here.' : undefined}
    </SentDetails>
  )
}

type SentDetailsProps = {
  sent: UseQueryResult<Sent>
  open: boolean
  onToggle: (open: boolean) => void
  /** In the place of what is sent. */
  children?: string | undefined
}

function SentDetails({ sent, open, onToggle, children }: SentDetailsProps) {
  return (
    <details
      open={open}
      onToggle={({ currentTarget }) => onToggle(currentTarget.open)}
      className={cn('min-w-0', open && 'basis-full')}
    >
      <summary className="w-max text-small text-secondary-foreground">What is sent</summary>
      {children && <p className="mt-2 text-small text-muted-foreground">{children}</p>}
      {!children && open && sent.isPending && (
        <SkeletonRows rows={3} label="Loading what would be sent" />
      )}
      {!children && sent.error && !sent.data && (
        <ErrorPanel
          error={sent.error}
          what="What would be sent"
          onRetry={() => void sent.refetch()}
        />
      )}
      {!children && sent.data && <Messages sent={sent.data} />}
    </details>
  )
}

function Messages({ sent }: { sent: Sent }) {
  return (
    <div className="mt-2 flex flex-col gap-2">
      <p className="wrap-text text-small text-secondary-foreground">
        To <span className="mono">{sent.host}</span>, for the model{' '}
        <span className="mono">{sent.model}</span>, and to nobody else. {hiddenWords(sent.hidden)}
      </p>
      {sent.messages.map(({ role, text }) => (
        <div key={`${role} ${text}`}>
          <p className="text-small font-medium">{TITLES[role]}</p>
          <pre
            tabIndex={0}
            aria-label={TITLES[role]}
            className="mono mt-1 max-h-[240px] overflow-auto rounded-md bg-muted p-3 text-small [font-variant-ligatures:none] whitespace-pre-wrap -outline-offset-2"
          >
            {text}
          </pre>
        </div>
      ))}
    </div>
  )
}

function hiddenWords(count: number): string {
  if (count === 0) return 'Nothing in it looks like a secret or personal data.'
  return count === 1
    ? 'One value that looks like a secret or personal data is hidden as REDACTED.'
    : `${formatCount(count)} values that look like secrets or personal data are hidden as REDACTED.`
}
